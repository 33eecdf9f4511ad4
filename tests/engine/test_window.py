"""Windows: to float rounding, what the whole plane has there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medt.engine import segment
from napari_medt.engine.region import Region
from napari_medt.engine.window import Held, Window, cut, side_seen
from tests.engine.standin import Uneven, standin

MODEL = standin(Uneven(32))
ZOOMING = standin(Uneven(32), zooms=[1, 0.7])
CPU = "cpu"


@st.composite
def parts(draw, length):
    start = draw(st.integers(0, length - 1))
    return slice(start, draw(st.integers(start + 1, length)))


def noise(height, width):
    return np.random.default_rng(height * 999 + width).random((height, width, 1), np.float32)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    factor=st.sampled_from([0.75, 0.84, 1.0, 1.41, 2.5]),
    model=st.sampled_from([MODEL, ZOOMING]),
    data=st.data(),
)
def test_a_window_is_as_in_the_whole_plane(height, width, factor, model, data):
    plane = Held(noise(height, width))
    area = (data.draw(parts(height)), data.draw(parts(width)))
    everything = (slice(0, height), slice(0, width))
    whole, _ = Window(plane, everything, model, "both", factor).predict(CPU)
    found, _ = Window(plane, area, model, "both", factor).predict(CPU)
    assert whole.shape == (3, height, width)
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(found, whole[:, *area], atol=1e-5)


def test_with_zooms_the_mean_counts():
    plane, everything = Held(noise(60, 90)), (slice(0, 60), slice(0, 90))
    both = Window(plane, everything, ZOOMING, "both", 2.0)
    apart = [Window(plane, everything, MODEL, "both", factor) for factor in (2.0, 1.4)]
    found, _ = both.predict(CPU)
    first, second = (window.predict(CPU)[0] for window in apart)
    np.testing.assert_allclose(found, (first + second) / 2, atol=1e-6)
    assert np.abs(first - second).max() > 0.05
    assert both.tiles == sum(window.tiles for window in apart)


def test_blank_tiles_are_counted_in_every_look():
    plane = Held(np.zeros((60, 90, 1), np.float32))
    window = Window(plane, (slice(0, 60), slice(0, 90)), ZOOMING, "both", 2.0)
    found, blank = window.predict(CPU)
    assert blank == window.tiles
    np.testing.assert_allclose(found[0], 1, atol=1e-5)


@pytest.mark.parametrize("model", [MODEL, ZOOMING])
@pytest.mark.parametrize("side", [33, 100])
def test_images_cut_into_windows(monkeypatch, side, model):
    image = (255 * noise(210, 170)[..., 0]).astype(np.uint8)
    region = Region(slice(20, 150), slice(41, 170))
    told = []
    whole = segment.predict_image(image, model, magnification=1.3, device=CPU).probabilities
    monkeypatch.setattr(segment, "SIDE", side)
    found = segment.predict_image(
        image,
        model,
        region=region,
        magnification=1.3,
        device=CPU,
        progress=lambda *counts: told.append(counts),
    )
    np.testing.assert_allclose(found.probabilities, whole[:, *region.box], atol=1e-5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("zooms", [[1], [1, 0.7], [1, 2]])
def test_no_look_sees_more_than_its_side(zooms):
    card = standin(Uneven(32), zooms=zooms).card
    side = side_seen(2048, card, 1.5)
    assert side * 1.5 * max(zooms) <= 2048 < (side + 1) * 1.5 * max(zooms)


@given(height=st.integers(1, 90), width=st.integers(1, 90), side=st.integers(1, 40))
def test_pieces_cover_an_area_once(height, width, side):
    seen = np.zeros((height + 5, width + 7), int)
    for area in cut((slice(5, 5 + height), slice(7, 7 + width)), side):
        seen[area] += 1
    assert (seen[5:, 7:] == 1).all()
    assert seen.sum() == height * width
