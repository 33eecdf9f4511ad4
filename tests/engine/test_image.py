"""Images: every kind becomes the network's input, or gets its one sentence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.engine.image import check_image, match_channels, prepare, scale_intensity
from napari_medt.errors import ImageError
from napari_medt.models.card import InputRule

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((1, 1), np.uint8), "1 x 1 pixels"),
        (np.full((9, 9), 7, np.uint8), r"same value \(7\)"),
        (np.where(RAMP > 0.5, np.nan, RAMP), "save it as a 16-bit image"),
        (np.where(RAMP > 0.5, np.inf, RAMP), "NaN or infinite"),
        (RAMP > 0.5, "mask already"),
        (np.zeros((8, 8, 3), np.int64), "RGB images of type int64"),
        (np.zeros((8, 8, 3), complex), "RGB images of type complex128"),
        (np.dstack([RAMP * 255] * 3), "values from 0 to 1"),
        (RAMP.astype(complex), "type complex128"),
        (RAMP.astype(str), "cannot be segmented"),
        (np.zeros((2, 8, 8, 3)), "2-D gray, RGB or RGBA"),
        (np.zeros((8, 8, 2)), "2-D gray, RGB or RGBA"),
        (np.zeros((0, 8)), "0 x 8 pixels"),
        (np.zeros(8), "2-D gray"),
    ],
)
def test_bad_images_get_one_sentence(image, reason):
    with pytest.raises(ImageError, match=reason) as caught:
        check_image(image)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_alpha_is_dropped():
    image = (np.random.default_rng(0).random((8, 9, 4)) * 255).astype(np.uint8)
    assert check_image(image).shape == (8, 9, 3)


@given(
    kind=st.sampled_from([np.uint8, np.uint16, np.int16, np.float16, np.float32, np.float64]),
    colour=st.booleans(),
    channels=st.sampled_from(["gray", "rgb", "bgr"]),
    intensity=st.sampled_from(["percentile", "range"]),
    gamma=st.sampled_from([1.0, 0.5, 2.2]),
    height=st.integers(1, 40),
    width=st.integers(2, 40),
)
def test_every_kind_of_image_becomes_network_input(
    kind, colour, channels, intensity, gamma, height, width
):
    if colour and kind == np.int16:
        return
    top = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    values = np.random.default_rng(0).random((height, width, 3)[: 2 + colour])
    image = check_image((values * top).astype(kind))
    plane = prepare(image, InputRule(channels=channels, intensity=intensity, gamma=gamma))
    assert plane.shape == (height, width, 1 if channels == "gray" else 3)
    assert plane.dtype == np.float32
    assert plane.min() >= 0
    assert plane.max() <= 1


def test_percentiles_are_stretched_and_outliers_clipped():
    image = np.linspace(1000, 3000, 10_000).reshape(100, 100)
    image[0, 0] = 60_000
    scaled = scale_intensity(image, InputRule(low=1, high=99))
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert scaled[50, 50] == pytest.approx(0.5, abs=0.02)


def test_gamma_is_the_exponent_of_the_stretched_intensities():
    rule = InputRule(intensity="range", gamma=0.5)
    assert scale_intensity(np.array([[0, 64, 255]], np.uint8), rule) == pytest.approx(
        np.array([[0, (64 / 255) ** 0.5, 1]]), abs=1e-6
    )


def test_a_single_bright_spot_survives_the_percentiles():
    image = np.zeros((100, 100), np.uint8)
    image[50, 50] = 200
    assert scale_intensity(image, InputRule())[50, 50] == 1


def test_same_picture_in_other_types_gives_the_same_input():
    image = (np.random.default_rng(0).random((20, 20)) * 255).astype(np.uint8)
    rule = InputRule(intensity="range")
    expected = scale_intensity(image, rule)
    np.testing.assert_allclose(
        scale_intensity(image.astype(np.uint16) * 257, rule), expected, atol=1e-6
    )
    np.testing.assert_allclose(scale_intensity(image / 255, rule), expected, atol=1e-6)


def test_channels_are_swapped_for_published_checkpoints():
    image = np.zeros((4, 4, 3), np.float32)
    image[..., 0] = 1
    assert match_channels(image, "bgr")[0, 0].tolist() == [0, 0, 1]
    assert match_channels(image, "gray")[0, 0, 0] == pytest.approx(0.2125)


@pytest.mark.parametrize("intensity", ["percentile", "range"])
def test_values_that_32_bits_do_not_hold_or_tell_apart(intensity):
    rule = InputRule(intensity=intensity)
    expected = prepare((RAMP * 100).astype(np.int16), rule)
    whole = (RAMP * 100).astype(np.int16)
    for image in (whole + np.int32(2**30), whole + 1e9, whole * 1e300):
        np.testing.assert_allclose(prepare(image, rule), expected, atol=1e-6)
