"""Published checkpoints: recognised by their keys, refused when foreign or dangerous."""

import os
import pickle
import sys

import pytest
import torch

from napari_medt.errors import ModelError
from napari_medt.models.published import load_published
from napari_medt.models.store import load_model
from tests import published


def small(architecture):
    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in published.state_dict(architecture).items()
    }


@pytest.mark.parametrize("architecture", published.ARCHITECTURES)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_architecture_is_recognised_from_its_file(architecture, prefix, tmp_path):
    path = tmp_path / "medt.pth"
    torch.save({prefix + key: value for key, value in small(architecture).items()}, path)
    config = load_published(path).config
    assert config.architecture == architecture
    assert (config.image_size, config.in_channels, config.num_classes) == (128, 3, 2)
    assert config.patch_size == (32 if architecture in ("medt", "logo") else 0)


def test_channels_classes_and_size_are_read_off_the_shapes():
    state = small("medt")
    state["conv1.weight"] = state["conv1_p.weight"][:8, :1]
    state["conv1_p.weight"] = state["conv1_p.weight"][:, :1]
    state["adjust.weight"] = torch.zeros(4, 16, 1, 1)
    state["adjust.bias"] = torch.zeros(4)
    for key, value in state.items():
        if key.endswith("relative"):
            state[key] = torch.zeros(value.shape[0], 2 * value.shape[1] + 1)
    config = load_published(state).config
    assert (config.image_size, config.in_channels, config.num_classes) == (256, 1, 4)
    assert config.patch_size == 32


def test_anything_missing_or_extra_is_an_error():
    state = small("gated")
    del state["layer2.1.bn1.weight"]
    with pytest.raises(ModelError, match="lacks 1 tensors"):
        load_published(state)
    with pytest.raises(ModelError, match="unknown tensors, such as extra"):
        load_published({**small("gated"), "extra.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match="has shape"):
        load_published({**small("gated"), "bn1.weight": torch.zeros(9)})
    with pytest.raises(ModelError, match="not weights of a published MedT"):
        load_published({"fc.weight": torch.zeros(1)})


TABLE = "layer1.0.hight_block.relative"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (1, torch.zeros(2), "1 is not the name"),
        ("conv1.weight", torch.zeros(8, 3, 7, 7, dtype=torch.int8), "conv1.weight holds no plain"),
        ("bn1.bias", torch.zeros(8, dtype=torch.complex64), "bn1.bias holds no plain"),
        ("bn1.bias", torch.zeros(8).to_sparse(), "bn1.bias holds no plain"),
        ("conv1.weight", torch.tensor(1.0), "not weights of a published MedT"),
        ("conv1.weight", torch.zeros(8, 2**31, 0, 0), "too many"),
        (TABLE, torch.zeros(1, 1).expand(4, 2**31 - 1), "too many"),
        *((key, torch.zeros(2), "unknown") for key in ("layer1", "layerX.0.a", "layer1.0.f_qr")),
        *((key, torch.zeros(2), "unknown") for key in ("decoderX.a", "layer1.0.hight_block")),
    ],
)
def test_foreign_tensors_are_one_sentence(tmp_path, key, value, reason):
    """Sizes that only a damaged file has are refused before memory is asked for."""
    path = tmp_path / "foreign.pth"
    torch.save({**small("gated"), key: value}, path)
    with pytest.raises(ModelError, match=reason):
        load_model(path)


@pytest.mark.parametrize("error", [AssertionError, IndexError, TypeError, MemoryError])
def test_whatever_a_damaged_file_makes_the_reader_raise(monkeypatch, tmp_path, error):
    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(ModelError, match="damaged"):
        load_published(tmp_path / "medt.pth")


class Bomb:
    """Unpickling this runs a command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, 2))])
def test_a_file_that_would_run_a_command_is_refused_and_does_not(tmp_path, write):
    path, marker = tmp_path / "evil.pth", tmp_path / "marker"
    write({"conv1.weight": Bomb(marker)}, path)
    with pytest.raises(ModelError, match=r"evil\.pth was refused"):
        load_published(path)
    assert not marker.exists()


def test_files_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "medt.pth"
    with pytest.raises(ModelError, match="There is no file"):
        load_published(path)
    torch.save(small("gated"), path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged"):
        load_published(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="damaged"):
        load_published(path)
    torch.save([1, 2, 3], path)
    with pytest.raises(ModelError, match="no state_dict"):
        load_published(path)


def test_a_checkpoint_can_be_used_like_any_model(tmp_path):
    path = tmp_path / "medt.pth"
    torch.save(small("medt"), path)
    model = load_model(path)
    assert model.card.input.channels == "bgr"
    assert model.card.input.scaling == "whole"
    assert model.card.classes == ("background", "class 1")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_the_name_of_a_checkpoint_may_be_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"M\xfcller.pth")
    torch.save(small("medt"), tmp_path / "medt.pth")
    (tmp_path / "medt.pth").rename(path)
    assert load_model(path).card.name == r"M\udcfcller"
