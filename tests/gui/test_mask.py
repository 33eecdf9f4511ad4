"""One mask, without a viewer."""

import numpy as np
from napari.layers import Labels

from napari_medt.gui.mask import Laid, Mask


def test_what_was_laid_in_is_remembered_within_limits(monkeypatch):
    mask = Mask(Labels(np.zeros((4, 5), int)), None, "tiny", None)
    plane = np.zeros((10, 10), np.int32)
    monkeypatch.setattr("napari_medt.gui.mask.KEPT_BYTES", 3 * plane.nbytes)
    steps = [Laid([((0,), plane)], None, []) for _ in range(5)]
    for step in steps:
        mask.remember(step)
    assert list(mask.laid) == steps[2:]
