"""Channels seen together."""

import numpy as np
import pytest

from napari_medt.engine.mix import Channel, Mix


def test_channels_are_mixed_as_they_are_shown():
    first, second = np.random.default_rng(0).integers(0, 100, (2, 3, 8, 9))
    mix = Mix([Channel(first, (0, 100), (0, 0, 1)), Channel(second, (20, 60), (0, 1, 0))])
    assert mix.shape == (3, 8, 9, 3)
    plane = mix[1]
    assert plane[..., 2] == pytest.approx(first[1] / 100)
    assert plane[..., 1] == pytest.approx(np.clip((second[1] - 20) / 40, 0, 1))
    assert not plane[..., 0].any()
