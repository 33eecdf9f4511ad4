"""What a run found, before it is shown."""

import numpy as np

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.region import Region, Scope
from napari_medt.gui.outcome import Outcome, exchanged, held, merge
from napari_medt.models.store import bundled_cards


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


def outcome(frame):
    """Two objects in a plane of a stack."""
    axes = guess_axes((2, 3, 4), ("z", "y", "x"))
    labels = np.zeros((2, 3, 4), np.int32)
    labels[frame, 0, :2] = 1, 2
    scope = Scope(axes, ((frame,),))
    return Outcome(
        **held(labels, scope),
        predictions={(frame,): None},
        scope=scope,
        link=False,
        card=bundled_cards()["nuclei-fluorescence"],
        provenance={"run": frame},
    )


def test_another_plane_gets_numbers_of_its_own_and_both_runs_are_told():
    old, new = outcome(0), outcome(1)
    [(part, values)] = exchanged(old.labels, new, old.highest)
    assert part[0] == 1
    assert values[0].tolist() == [3, 4, 0, 0]
    both = merge(old, new, old.labels, old.highest)
    assert both.highest == 4
    assert both.scope.frames == ((0,), (1,))
    assert both.provenance == {"run": 1, "earlier": [{"run": 0}]}
    assert both.predictions.keys() == {(0,), (1,)}


def test_runs_are_told_newest_first_then_oldest_to_newest():
    first, second, third = outcome(0), outcome(1), outcome(0)
    both = merge(first, second, first.labels, first.highest)
    told = merge(both, third, both.labels, both.highest).provenance
    assert told == {"run": 0, "earlier": [{"run": 0}, {"run": 1}]}
