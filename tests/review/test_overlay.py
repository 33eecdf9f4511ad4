import numpy as np
import pytest

from napari_medt.review.overlay import draw_overlay


@pytest.mark.parametrize("colours", [(), (3,), (4,)])
def test_only_outlines_are_drawn(colours):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, *colours), np.uint8)
    labels = np.zeros((40, 50), np.int32)
    labels[10:30, 10:30] = 1
    plain, drawn = draw_overlay(image, np.zeros_like(labels)), draw_overlay(image, labels)
    assert drawn.shape == (40, 50, 3)
    assert drawn.dtype == np.uint8
    changed = (plain != drawn).any(axis=2)
    assert changed[9:11, 20].any()
    assert not changed[13:27, 13:27].any()
    assert not changed[:8].any()
