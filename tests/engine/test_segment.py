"""The whole way of an image."""

import numpy as np
import pytest
import torch
from skimage.transform import resize

from napari_medt.engine.image import prepare
from napari_medt.engine.predict import BATCH_SIZES, predict, run
from napari_medt.engine.region import Region
from napari_medt.engine.segment import predict_image, segment
from napari_medt.errors import Cancelled, ModelError
from napari_medt.models.store import load_model
from napari_medt.sample_data.generate import draw
from tests.conftest import make_model
from tests.engine.standin import same


@pytest.fixture
def model(tiny_model):
    return load_model(tiny_model)


def picture(*shape, kind=np.uint8):
    return (np.random.default_rng(0).random(shape) * 200).astype(kind)


@pytest.mark.parametrize("shape", [(64, 64), (1, 90), (37, 150), (130, 3), (80, 70, 3), (9, 9, 4)])
def test_any_size_keeps_its_resolution(model, shape):
    result = segment(picture(*shape), model)
    assert result.labels.shape == result.probability.shape == shape[:2]
    assert result.labels.dtype == np.int32
    assert result.probability.dtype == np.float32
    assert 0 <= result.probability.min() <= result.probability.max() <= 1


def test_probabilities_add_up_to_one(model):
    probabilities = predict_image(picture(100, 120), model).probabilities
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_do_not_matter(model, batch_size, monkeypatch):
    expected = predict_image(picture(150, 100), model).probabilities
    monkeypatch.setitem(BATCH_SIZES, "cpu", batch_size)
    np.testing.assert_allclose(
        predict_image(picture(150, 100), model).probabilities, expected, atol=1e-5
    )


def test_one_tile_is_the_network_alone(model):
    image = picture(64, 64)
    plane = prepare(image, model.card.input)
    with torch.no_grad():
        logits = model.network(torch.from_numpy(plane).permute(2, 0, 1)[None])
    expected = logits.softmax(dim=1)[0].numpy()
    np.testing.assert_allclose(predict_image(image, model).probabilities, expected, atol=1e-5)


def test_whole_images_are_resized_there_and_back(tmp_path):
    folder = make_model(tmp_path, channels="rgb", input={"scaling": "whole", "intensity": "range"})
    model = load_model(folder)
    image = picture(90, 130, 3)
    small = resize(image / 255, (64, 64), order=1, anti_aliasing=True).astype(np.float32)
    direct = run(model.network, small[None], "both", "cpu", model.card)[0]
    expected = resize(direct, (3, 90, 130), order=1)
    np.testing.assert_allclose(predict_image(image, model).probabilities, expected, atol=1e-4)


def test_branch_settings_differ(model):
    both, one, other = (
        segment(picture(64, 64), model, branches).probability
        for branches in ("both", "global", "patch")
    )
    assert not np.allclose(both, one)
    assert not np.allclose(one, other)


def test_settings_the_model_lacks_are_refused(model, tmp_path):
    with pytest.raises(ModelError, match="Unknown branches 'local'"):
        segment(picture(64, 64), model, "local")
    single = load_model(make_model(tmp_path, "single", architecture="gated"))
    with pytest.raises(ModelError, match="single branch"):
        segment(picture(64, 64), single, "patch")


def test_progress_counts_the_tiles_and_cancelling_stops_between_batches(model):
    seen = []
    segment(picture(200, 200), model, progress=lambda *counts: seen.append(counts))
    total = seen[-1][1]
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)
    done = [counts[0] for counts in seen]
    assert done == sorted(done)

    seen.clear()
    with pytest.raises(Cancelled):
        segment(
            picture(200, 200),
            model,
            progress=lambda *counts: seen.append(counts),
            cancelled=lambda: len(seen) == 2,
        )
    assert len(seen) == 2


def test_the_image_is_left_alone(model):
    image = picture(70, 70).astype(np.float32) / 255
    before = image.copy()
    predict(prepare(image, model.card.input), model)
    assert np.array_equal(image, before)


def small_device(limit):
    """Stand in for a device whose memory holds `limit` tiles; counts what it is asked for."""
    asked = []

    def run_within(network, tiles, branches, device, card):
        if torch.device(device).type != "cpu" or limit:
            asked.append(len(tiles))
            if len(tiles) > limit:
                raise RuntimeError("device out of memory")
            device = "cpu"
        return run(network, tiles, branches, device, card)

    return asked, run_within


def test_batches_shrink_to_the_memory_there_is(model, monkeypatch):
    expected = predict_image(picture(150, 150), model).probabilities
    asked, run_within = small_device(1)
    monkeypatch.setattr("napari_medt.engine.predict.run", run_within)
    np.testing.assert_allclose(
        predict_image(picture(150, 150), model).probabilities, expected, atol=1e-5
    )
    assert asked[:3] == [4, 2, 1]
    assert set(asked[3:]) == {1}


def test_a_device_without_the_memory_hands_over_to_the_cpu(model, monkeypatch, caplog):
    expected = predict_image(picture(150, 150), model).probabilities
    asked, run_within = small_device(0)
    monkeypatch.setattr("napari_medt.engine.predict.run", run_within)
    monkeypatch.setattr(
        "napari_medt.engine.segment.choose_device", lambda name: torch.device("meta")
    )
    monkeypatch.setitem(BATCH_SIZES, "meta", 2)
    monkeypatch.setattr(type(model), "inference_network", lambda self, device: self.network)
    np.testing.assert_allclose(
        predict_image(picture(150, 150), model).probabilities, expected, atol=1e-5
    )
    assert asked == [2, 1]
    assert "too little memory, so the CPU is used" in caplog.text


def test_other_failures_are_not_hidden(model, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("a defect")

    monkeypatch.setattr("napari_medt.engine.predict.run", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        predict_image(picture(64, 64), model)


@pytest.mark.parametrize(
    ("name", "sample", "magnification"),
    [
        ("nuclei-fluorescence", "fluorescence_nuclei", 1),
        ("nuclei-histology", "histology_nuclei", 2),
    ],
)
def test_objects_are_those_of_the_whole_image_in_any_region(name, sample, magnification):
    """Also where the border of the region cuts them, and with settings other than the card's."""
    model, image = load_model(name), draw(sample)[0][:300, :300]
    options = {"branches": "global", "magnification": magnification, "device": "cpu"}
    whole = predict_image(image, model, **options)
    for box in np.s_[100:200, 120:260], np.s_[37:98, 11:140], np.s_[250:300, 0:33]:
        part = predict_image(image, model, region=Region(*box), **options)
        for settings in {}, {"threshold": 0.7, "min_size": 200}:
            labels = part.labels(model.card, **settings)
            assert labels.dtype == np.int32
            assert labels.max() == len(np.unique(labels)) - 1, "numbered without gaps"
            assert same(labels, whole.labels(model.card, **settings)[box])
