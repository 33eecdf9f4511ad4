"""Parts of images at several resolutions."""

import numpy as np
import pytest

from napari_medt.engine import part
from napari_medt.engine.part import coarser, predict_part
from napari_medt.engine.predict import tile_grid
from napari_medt.engine.segment import predict_image
from napari_medt.errors import ImageError, ModelError
from tests.engine.standin import Painted, Uneven, draw_objects, levels_of, same, standin

EVERYTHING = (slice(0, 300), slice(0, 280))


@pytest.fixture
def image():
    return draw_objects(np.random.default_rng(0), 300, 280, 120)


def test_a_part_is_as_in_the_whole(image):
    model = standin(Uneven(32))
    area = (slice(37, 211), slice(100, 280))
    found = predict_part(levels_of([image]), area, model, device="cpu")
    whole = predict_image(image, model, device="cpu").probabilities
    assert (found.level, found.corner, found.step) == (0, (37, 100), 1)
    np.testing.assert_allclose(found.prediction.probabilities, whole[:, *area], atol=1e-5)


@pytest.mark.parametrize("area", [np.s_[60:61, 0:280], np.s_[100:140, 37:93]])
def test_labels_of_a_part_are_those_of_the_whole(image, area):
    """Its border cuts objects, of which less is inside than the smallest object has."""
    model = standin(Painted())
    found = predict_part(levels_of([image]), area, model, device="cpu").prediction
    whole = predict_image(image, model, device="cpu")
    labels = [one.labels(model.card, min_size=60) for one in (found, whole)]
    assert 0 < labels[0].max() < labels[1].max()
    assert same(labels[0], labels[1][area])


def test_a_part_at_the_resolution_with_objects_of_the_models_size(image):
    model = standin(Painted(), object_size=12)  # pixels; they are about 12 in `image`
    large = np.kron(image, np.ones((4, 4), np.uint8))
    levels = levels_of([large, large[::2, ::2], image, image[::2, ::2]])
    found = predict_part(levels, (slice(400, 800), slice(0, 1120)), model, device="cpu")
    assert (found.level, found.corner, found.step) == (2, (100, 0), 4)
    assert found.prediction.probabilities.shape == (3, 100, 280)


@pytest.mark.parametrize("place", [0, 4, 5, 6, 7, 1199, 1200, 1202])
def test_a_part_thinner_than_a_pixel_has_one(image, place):
    """Also where the coarser resolution, rounded down, ends before the finest."""
    large = np.kron(image, np.ones((4, 4), np.uint8))
    large = np.pad(large, ((0, 3), (0, 0)), mode="edge")
    area = (slice(place, place + 1), slice(0, 1120))
    model = standin(Painted(), object_size=12)
    found = predict_part(levels_of([large, large[::2, ::2], image]), area, model, device="cpu")
    assert (found.level, found.corner) == (2, (min(place // 4, 299), 0))
    assert found.prediction.probabilities.shape == (3, 1, 280)


def test_a_part_has_all_pixels_that_it_touches():
    assert coarser(slice(5, 11), 4, 50) == slice(1, 3)
    assert coarser(slice(4, 12), 4, 50) == slice(1, 3)


def test_blank_tiles_are_counted(image):
    image[:, :100] = 0
    model = standin(Painted())
    grid = tile_grid(model.card, *image.shape)
    tiles = [grid.cut(image[..., None], index) for index in range(len(grid))]
    found = predict_part(levels_of([image]), EVERYTHING, model, device="cpu")
    assert found.prediction.blank == np.mean([np.ptp(tile) == 0 for tile in tiles]) > 0.2


def test_too_much_to_hold(monkeypatch, image):
    monkeypatch.setattr(part, "MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match="zoom in"):
        predict_part(levels_of([image]), EVERYTHING, standin(Painted()), device="cpu")


def test_bad_input_is_one_sentence(image):
    with pytest.raises(ImageError, match="same value"):
        predict_part(levels_of([np.zeros((300, 280))]), EVERYTHING, standin(Painted()))
    with pytest.raises(ModelError, match="as a whole"):
        predict_part(levels_of([image]), EVERYTHING, standin(Painted(), scaling="whole"))
    with pytest.raises(ModelError, match="Unknown branches"):
        predict_part(levels_of([image]), EVERYTHING, standin(Painted()), "left")
