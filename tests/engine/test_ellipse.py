"""Circumferences of drawn ellipses, whose size is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ellipe
from skimage.measure import EllipseModel

from napari_medt.engine.ellipse import (
    Ellipse,
    as_ellipse,
    circumference,
    fit,
    fit_to_outline,
    largest_part,
)

HALF = np.float32(0.5)


def draw(centre, semi_axes, angle=0.0, shape=(200, 260)):
    """Mark the pixels whose centres lie within an ellipse."""
    rows, columns = np.indices(shape)
    y, x = rows - centre[0], columns - centre[1]
    u = (y * np.cos(angle) + x * np.sin(angle)) / semi_axes[0]
    v = (x * np.cos(angle) - y * np.sin(angle)) / semi_axes[1]
    return u**2 + v**2 <= 1


def exact_perimeter(a, b):
    return 4 * a * ellipe(1 - (b / a) ** 2)


def on_ellipse(centre, semi_axes, angle=0.0, turn=2 * np.pi, count=40):
    """Points along an ellipse, or the first part of a turn around it."""
    t = np.linspace(0, turn, count, endpoint=False)
    along, across = semi_axes[0] * np.cos(t), semi_axes[1] * np.sin(t)
    rows = centre[0] + along * np.cos(angle) - across * np.sin(angle)
    columns = centre[1] + along * np.sin(angle) + across * np.cos(angle)
    return np.stack([rows, columns], axis=1)


@settings(deadline=None)
@given(
    centre=st.tuples(st.floats(-50, 500), st.floats(-50, 500)),
    width=st.floats(2, 200),
    ratio=st.one_of(st.just(1.0), st.floats(1.01, 5)),
    angle=st.one_of(st.sampled_from([0, np.pi / 4, np.pi / 2]), st.floats(0, 3.14)),
    turn=st.floats(2, 2 * np.pi),
    count=st.integers(6, 50),
)
def test_points_on_an_ellipse_give_it_back(centre, width, ratio, angle, turn, count):
    known = ratio * width, width
    ellipse = fit(on_ellipse(centre, known, angle, turn, count))
    assert ellipse.centre == pytest.approx(centre, abs=1e-4 * width)
    assert ellipse.semi_axes == pytest.approx(known, rel=1e-4)
    if ratio > 1:
        assert np.sin(ellipse.angle - angle) == pytest.approx(0, abs=1e-3)


@settings(deadline=None)
@given(
    semi_axes=st.tuples(st.floats(21, 60), st.floats(10, 20)),
    angle=st.floats(0, 3.14),
    turn=st.floats(3, 2 * np.pi),
    seed=st.integers(0, 99),
)
def test_noisy_points_have_the_ellipse_that_scikit_image_fits(semi_axes, angle, turn, seed):
    points = on_ellipse((100, 130), semi_axes, angle, turn)
    points += np.random.default_rng(seed).normal(0, 0.3, points.shape)
    try:
        model = EllipseModel.from_estimate(points)
    except TypeError:
        pytest.skip("this scikit-image takes no complex numbers, which this numpy gives")
    ellipse = fit(points)
    assert ellipse.centre == pytest.approx(model.center)
    assert ellipse.semi_axes == pytest.approx(model.axis_lengths)
    assert np.sin(ellipse.angle - model.theta) == pytest.approx(0, abs=1e-6)


def test_eigenvectors_may_be_complex_numbers(monkeypatch):
    """Those of numpy 2.5 always are."""
    eig = np.linalg.eig
    monkeypatch.setattr(np.linalg, "eig", lambda a: [part.astype(complex) for part in eig(a)])
    ellipse = fit(on_ellipse((100, 130), (60, 45), 0.5))
    assert ellipse.semi_axes == pytest.approx((60, 45))
    assert ellipse.angle == pytest.approx(0.5)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        on_ellipse((100, 130), (60, 45), count=4),
        np.full((9, 2), 0.1),
        np.full((9, 2), np.nan),
        np.outer(np.arange(9.0), (0, 1)),
        np.outer(np.arange(9.0), (1, 3)),
        np.outer(np.arange(9.0), (1, 0)) + np.outer(np.arange(9) % 2, (0, 1)),
        np.stack([np.arange(9.0), np.arange(9.0) ** 2], axis=1),
    ],
    ids=["none", "four", "one place", "unknown", "row", "slanted", "two rows", "parabola"],
)
def test_points_without_an_ellipse(points):
    assert fit(points) is None


@settings(max_examples=30, deadline=None)
@given(
    centre=st.tuples(st.floats(95, 105), st.floats(120, 140)),
    width=st.floats(20, 60),
    ratio=st.floats(1, 1.5),
    angle=st.floats(0, 3.14),
)
def test_a_filled_ellipse_has_its_own_size(centre, width, ratio, angle):
    ellipse = fit_to_outline(draw(centre, (ratio * width, width), angle))
    assert ellipse.centre == pytest.approx(centre, abs=0.2)
    assert ellipse.semi_axes == pytest.approx((ratio * width, width), abs=0.3)
    assert ellipse.perimeter() == pytest.approx(exact_perimeter(ratio * width, width), rel=0.006)


@settings(max_examples=30, deadline=None)
@given(
    centre=st.tuples(st.floats(60, 140), st.floats(60, 200)),
    width=st.floats(20, 60),
    ratio=st.floats(1, 1.5),
    angle=st.floats(-4, 4),
)
def test_an_ellipse_stays_as_it_is(centre, width, ratio, angle):
    mask = draw(centre, (ratio * width, width), angle)
    drawn = as_ellipse(mask, mask - HALF)
    assert (drawn & mask).sum() > 0.98 * (drawn | mask).sum()


def test_bulges_holes_and_other_parts_go():
    whole = draw((100, 130), (60, 45), 0.5)
    spoiled = whole & ~draw((90, 125), (10, 8)) | draw((20, 230), (9, 9)) | draw((100, 84), (9, 9))
    drawn = as_ellipse(spoiled, spoiled - HALF)
    assert (drawn & whole).sum() > 0.97 * (drawn | whole).sum()
    assert (spoiled & whole).sum() < 0.95 * (spoiled | whole).sum()


def test_a_doubtful_bulge_does_not_stretch_the_ellipse():
    whole = draw((100, 130), (60, 45), 0.5)
    bulge = draw((130, 175), (30, 20)) & ~whole
    probability = np.where(whole, 0.98, np.where(bulge, 0.6, 0.02)).astype(np.float32)
    drawn = as_ellipse(probability >= HALF, probability - HALF)
    stretched = fit_to_outline(probability >= HALF).filled(whole.shape)
    assert (drawn & whole).sum() > 0.97 * (drawn | whole).sum()
    assert (stretched & whole).sum() < 0.93 * (stretched | whole).sum()


@pytest.mark.parametrize("filled", [np.s_[:0], np.s_[5, 5], np.s_[:, :4]])
def test_what_is_no_ellipse_stays_as_it_is(filled):
    mask = np.zeros((10, 10), bool)
    mask[filled] = True
    assert np.array_equal(as_ellipse(mask, mask - HALF), mask)


def test_two_crossed_bars_are_not_called_an_ellipse():
    mask = np.zeros((100, 100), bool)
    mask[48:53] = mask[:, 48:53] = True
    assert np.array_equal(as_ellipse(mask, mask - HALF), mask)


def test_sizes_are_not_off_by_half_a_pixel_on_average():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        b = rng.uniform(25, 50)
        mask = draw(rng.uniform(95, 105, 2), (1.3 * b, b), rng.uniform(0, 3))
        errors.append(circumference(mask) - exact_perimeter(1.3 * b, b))
    # Half a pixel more on every side would be pi pixels.
    assert abs(np.mean(errors)) < 0.1


def test_millimetres():
    mask = draw((100, 130), (60, 45))
    assert circumference(mask, 0.25) == pytest.approx(0.25 * exact_perimeter(60, 45), rel=2e-3)


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 3.0])
def test_millimetres_of_pixels_that_are_not_square(angle):
    """However the head lies, it is as long as in square pixels."""
    mask = draw((100, 130), (60, 40), angle)
    stretched = mask.repeat(3, axis=0).repeat(2, axis=1)
    assert circumference(mask, (0.3, 0.2)) == pytest.approx(circumference(stretched, 0.1), rel=5e-3)


def test_holes_and_other_parts_do_not_count():
    mask = draw((100, 120), (60, 45))
    spoiled = mask & ~draw((95, 125), (10, 8)) | draw((20, 230), (9, 9))
    assert circumference(spoiled) == pytest.approx(circumference(mask))


def test_an_ellipse_goes_on_beyond_the_border():
    cut = draw((100, 130), (80, 60))[:, 90:]
    assert circumference(cut) == pytest.approx(exact_perimeter(80, 60), rel=0.01)


@pytest.mark.parametrize("filled", [np.s_[:0], np.s_[:], np.s_[5, 5], np.s_[5, 2:8], np.s_[:, :4]])
def test_masks_without_an_ellipse(filled):
    mask = np.zeros((10, 10), bool)
    mask[filled] = True
    ellipse = fit_to_outline(largest_part(mask))
    assert ellipse is None or ellipse.perimeter() < 20  # a speck may have one, of its own size


def test_ramanujan_agrees_with_the_integral():
    for ratio in (1, 1.3, 2, 5):
        assert Ellipse((0, 0), (ratio, 1)).perimeter() == pytest.approx(
            exact_perimeter(ratio, 1), 1e-4
        )
