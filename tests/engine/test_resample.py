"""Resizing part by part equals resizing the whole."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from napari_medt.engine.resample import Resized, Resizing
from napari_medt.engine.source import Prepared, level_of
from napari_medt.models.card import InputRule

lengths = st.integers(1, 90)


def part(data, length):
    start = data.draw(st.integers(0, length - 1))
    return slice(start, data.draw(st.integers(start + 1, length)))


@settings(max_examples=60, deadline=None)
@given(height=lengths, width=lengths, factor=st.floats(0.5, 2.5), data=st.data())
def test_parts_there_and_back(height, width, factor, data):
    image = np.random.default_rng(height * 99 + width).random((height, width), np.float32)
    plane = Prepared(level_of(image), InputRule(intensity="range"), (0.0, 1.0))
    resized = Resized(plane, Resizing.by(factor, height, width))
    shape = (resized.height, resized.width, 1)
    # Where nothing shrinks to speak of, a blur is not worth the time.
    whole = resize(image[..., np.newaxis], shape, order=1, anti_aliasing=factor < 1)
    area = part(data, resized.height), part(data, resized.width)
    np.testing.assert_allclose(resized.read(area), whole[area], atol=1e-5)

    way_back = resized.resizing.back
    area = part(data, height), part(data, width)
    expected = resize(whole[..., 0], (height, width), order=1, anti_aliasing=False)[area]
    found = way_back.apply(whole[way_back.needed(area)], area)
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-5)
