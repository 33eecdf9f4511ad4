"""Areas: to float rounding, what the whole image has there."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medt.engine.predict import View, predict, predict_area, tile_grid
from napari_medt.engine.progress import never, silent
from napari_medt.errors import ModelError
from tests.engine.standin import Painted, Uneven, standin

MODEL = standin(Uneven(32))


def predict_in(plane, area, network, card):
    """Predict an area of a plane from no more than its tiles show."""
    grid = tile_grid(card, *plane.shape[:2])
    seen = grid.seen(area)
    view = View(plane[seen], grid, area, (seen[0].start, seen[1].start))
    return predict_area(
        view, network, card, branches="both", device="cpu", progress=silent, cancelled=never
    )


@st.composite
def parts(draw, length):
    start = draw(st.integers(0, length - 1))
    return slice(start, draw(st.integers(start + 1, length)))


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 200), data=st.data())
def test_an_area_is_as_in_the_whole_image(height, width, data):
    area = (data.draw(parts(height)), data.draw(parts(width)))
    plane = np.random.default_rng(height * 999 + width).random((height, width, 1), np.float32)
    plane[: height // 3] = 0.5  # blank
    whole = predict(plane, MODEL)
    found, _ = predict_in(plane, area, MODEL.network, MODEL.card)
    np.testing.assert_allclose(found, whole[:, *area], atol=1e-5)


def test_large_images_too():
    model = standin(Uneven(128), 128)
    plane = np.random.default_rng(0).random((1501, 2999, 1), np.float32)
    area = (slice(700, 1300), slice(1024, 2048))
    whole = predict(plane, model)
    found, _ = predict_in(plane, area, model.network, model.card)
    np.testing.assert_allclose(found, whole[:, *area], atol=1e-5)


class Counting(Painted):
    tiles = 0

    def forward(self, x, branches="both"):
        self.tiles += len(x)
        return super().forward(x)


def test_the_network_is_spared_blank_tiles():
    plane = np.full((320, 320, 1), 0.3, np.float32)
    plane[300:310, 300:310] = 0.9
    network = Counting()
    whole = tile_grid(MODEL.card, 320, 320).whole
    found, blank = predict_in(plane, whole, network, MODEL.card)
    assert 1 <= network.tiles <= 4
    assert blank == len(tile_grid(MODEL.card, 320, 320)) - network.tiles
    np.testing.assert_allclose(found[0, :200], 1, atol=1e-6)
    assert found[0, 300:310, 300:310].max() < 0.01
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


def test_nothing_is_blank_where_labels_are_classes():
    card = replace(MODEL.card, classes=("background", "a", "b"))
    plane = np.full((64, 64, 1), 0.9, np.float32)
    whole = tile_grid(card, 64, 64).whole
    found, blank = predict_in(plane, whole, Painted(), card)
    assert blank == 0
    assert found[2].min() > 0.5


def test_progress_is_told_even_where_all_is_blank():
    seen = []
    plane = np.full((64, 64, 1), 0.9, np.float32)
    predict(plane, standin(Painted()), progress=lambda *counts: seen.append(counts))
    assert seen == [(seen[0][1], seen[0][1])]
    assert seen[0][1] == pytest.approx(9)


@pytest.mark.parametrize(("flips", "axis"), [("both", 0), ("both", 1), ("columns", 1)])
def test_with_flips_a_mirrored_image_has_the_mirrored_answer(flips, axis):
    model = standin(Uneven(32), flips=flips)
    plane = np.random.default_rng(0).random((32, 32, 1), np.float32)
    there = predict(plane, model)
    back = predict(np.flip(plane, axis), model)
    np.testing.assert_allclose(np.flip(back, axis + 1), there, atol=1e-5)
    plain = predict(plane, replace(model, card=MODEL.card))
    assert np.abs(plain - there).max() > 0.01
    np.testing.assert_allclose(there.sum(axis=0), 1, atol=1e-5)


def test_a_model_that_knows_one_way_up_sees_nothing_upside_down():
    plane = np.random.default_rng(0).random((32, 32, 1), np.float32)
    there, back = (
        predict(image, standin(Uneven(32), flips="columns")) for image in (plane, plane[::-1])
    )
    assert np.abs(back[:, ::-1] - there).max() > 0.01


class Diverged(Painted):
    def forward(self, x, branches="both"):
        logits = super().forward(x)
        logits[-1, 1, 5, 7] = np.nan
        return logits


def test_weights_that_give_no_numbers_are_refused():
    plane = np.random.default_rng(0).random((50, 70, 1), np.float32)
    with pytest.raises(ModelError, match="weights give no numbers"):
        predict(plane, standin(Diverged()))
