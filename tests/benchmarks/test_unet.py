"""The baseline: as large as MedT, trained by the same loop."""

import json
from dataclasses import replace

import pytest
import torch

from benchmarks import unet
from napari_medt.network.config import NetworkConfig
from napari_medt.network.networks import from_config
from napari_medt.training import loop
from tests.conftest import make_model
from tests.training.test_data import write_data
from tests.training.test_loop import CONFIG


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (1, 3), (3, 2), (3, 3)])
def test_the_unet_has_as_many_parameters_as_medt(channels, classes):
    config = NetworkConfig("medt", in_channels=channels, num_classes=classes)
    network = unet.unet_like(config)
    wanted = unet.parameters(from_config(config))
    assert unet.parameters(network) == pytest.approx(wanted, rel=0.1)
    images = torch.zeros(2, channels, 64, 64)
    assert network(images, branches="both").shape == (2, classes, 64, 64)


def test_another_domain_keeps_all_but_the_first_and_last_layer():
    old, new = unet.UNet(1, 3, 4), unet.UNet(3, 2, 4)
    fresh = new.head.weight.clone()
    unet.start_with(new, old.state_dict())
    assert torch.equal(new.head.weight, fresh)
    assert torch.equal(new.up[0][0].weight, old.up[0][0].weight)
    with pytest.raises(AssertionError, match="down"):
        unet.start_with(unet.UNet(1, 3, 5), old.state_dict())


def test_a_tiny_run_measures_both(tmp_path, monkeypatch):
    write_data(tmp_path / "data" / "train", 3)
    write_data(tmp_path / "data" / "val", 2)
    config = replace(
        CONFIG,
        architecture="medt",
        image_size=64,
        patch_size=32,
        target="instances",
        epochs=1,
        images_per_epoch=4,
        validate_every=1,
        start_from="somewhere",
    )
    (tmp_path / "training.json").write_text(config.to_json())
    drawn, real = [], loop.choose_branches
    monkeypatch.setattr(loop, "choose_branches", lambda *a: drawn.append(real(*a)) or drawn[-1])
    arguments = {
        "--config": tmp_path / "training.json",
        "--data": tmp_path / "data",
        "--output": tmp_path / "run",
        "--model": make_model(tmp_path),
        "--results": tmp_path,
        "--device": "cpu",
    }
    unet.main([str(text) for pair in arguments.items() for text in pair])
    report = json.loads((tmp_path / "unet-discs.json").read_text())
    assert (report["steps"], report["validation_images"]) == (1, 2)
    assert set(report["unet"]["accuracy"]) == {"both"}
    assert set(report["medt"]["accuracy"]) == {"both", "global", "patch"}
    for network in ("unet", "medt"):
        assert set(report[network]["accuracy"]["both"]) >= {"dice", "dice_ci", "ap50", "pq", "ece"}
        assert report[network]["seconds_per_image"] > 0
    assert drawn == ["both"]

    # A second run goes on from the first one's weights.
    second = tmp_path / "second"
    model = unet.train_baseline(config, tmp_path / "data", second, tmp_path / "run", "cpu")
    assert unet.parameters(model.network) == report["unet"]["parameters"]
