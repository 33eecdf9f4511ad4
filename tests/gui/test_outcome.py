"""What a run found, before it is shown."""

import numpy as np

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.region import Region, Scope
from napari_medt.gui.outcome import held


def test_labels_are_held_with_a_copy_and_the_largest():
    labels = np.zeros((3, 4, 5), np.int32)
    labels[1, 1:3, 1:4] = np.arange(6).reshape(2, 3)
    axes = guess_axes(labels.shape, ("z", "y", "x"))
    scope = Scope(axes, ((1,),), region=Region(slice(1, 3), slice(1, 4)))
    found = held(labels, scope)
    assert found["labels"] is labels
    assert not np.shares_memory(found["written"], labels)
    assert np.array_equal(found["written"], labels)
    assert found["written"].dtype == labels.dtype
    assert found["highest"] == 5
