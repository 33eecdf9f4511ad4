"""The first look at an image: what fits the model, or one sentence."""

import dask.array
import numpy as np
import pytest

from napari_medt.engine.overview import look_over, small_level, typical_field
from napari_medt.engine.part import predict_part
from napari_medt.errors import ImageError
from tests.engine.standin import Painted, draw_objects, levels_of, standin


@pytest.fixture
def image():
    return draw_objects(np.random.default_rng(0), 300, 280, 120)


def test_the_resolution_with_objects_of_the_models_size(image):
    model = standin(Painted(), object_size=12)  # pixels; they are about 12 in `image`
    large = np.kron(image, np.ones((4, 4), np.uint8))
    levels = levels_of([large, large[::2, ::2], image, image[::2, ::2]])
    assert look_over(levels, model, device="cpu").level == 2
    assert look_over(levels, model, level=0, device="cpu").level == 0


def test_models_of_any_size_see_the_finest(image):
    overview = look_over(levels_of([image, image[::2, ::2]]), standin(Painted()), device="cpu")
    assert (overview.level, overview.magnification) == (0, 1)
    assert overview.limits == (0, 255)


def test_intensities_come_from_a_small_resolution():
    levels = levels_of([np.zeros((n, n), np.uint8) for n in (8000, 4000, 2000, 1000, 500)])
    assert small_level(levels) is levels[3]
    assert small_level(levels[4:]) is levels[4]


def fail(block):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((1, 1)), "1 x 1 pixels"),
        (np.ones((40, 50)), "same value"),
        (np.eye(40) > 0, "mask already"),
        (np.eye(40) * 1j, "type complex128"),
        (np.zeros((7, 40, 50)), "2-D gray, RGB or RGBA"),
        (np.where(np.eye(40), np.nan, 1), "NaN"),
        (dask.array.zeros((40, 50)).map_blocks(fail, meta=np.zeros((0, 0))), "cannot be read"),
    ],
)
def test_what_cannot_be_segmented_is_one_sentence(array, reason):
    everything = (slice(0, array.shape[0]), slice(0, array.shape[1]))
    for look in (
        lambda levels: typical_field(levels),
        lambda levels: predict_part(levels, everything, standin(Painted()), device="cpu"),
    ):
        with pytest.raises(ImageError, match=reason) as raised:
            look(levels_of([array]))
        assert str(raised.value).endswith(".")
        assert "\n" not in str(raised.value)
