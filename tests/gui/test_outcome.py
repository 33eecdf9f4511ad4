"""What a run found, before it is shown."""

import itertools
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.region import Region, Scope
from napari_medt.engine.segment import Prediction
from napari_medt.gui.outcome import (
    Outcome,
    corrected_in_words,
    count_labels,
    exchanged,
    held,
    in_words,
    landed_in_words,
    merge,
    relabel,
)
from napari_medt.models.store import bundled_cards
from napari_medt.review.provenance import describe_scope


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


def outcome(frame, run="", region=None):
    """Two objects in a plane of a stack."""
    axes = guess_axes((3, 3, 4), ("z", "y", "x"))
    labels = np.zeros((3, 3, 4), np.int32)
    labels[frame, 0, :2] = 1, 2
    scope = Scope(axes, ((frame,),), region=region)
    found = np.full((3, 3, 4), 0.5, np.float32)
    return Outcome(
        **held(labels, scope),
        predictions={} if region else {(frame,): Prediction(found)},
        scope=scope,
        link=False,
        card=bundled_cards()["nuclei-fluorescence"],
        provenance={"run": run, "threshold": 0.5, "scope": describe_scope(scope)},
    )


@pytest.mark.parametrize(
    ("region", "where"),
    [
        (None, ""),
        (Region(slice(0, 2), slice(0, 4)), " in the window"),
        (Region(slice(0, 2), slice(0, 4), np.ones((2, 4), bool)), " inside the shapes"),
    ],
)
def test_what_was_found_in_a_part_is_said_of_the_part(region, where):
    found = outcome(0, region=region)
    words = in_words(found.labels, found.scope, found.card, None)
    assert words == f"2 objects{where}"
    corrected = corrected_in_words(found.labels, found, None)
    assert corrected == "2 objects", "which may lie beside it"
    nothing = replace(found, **held(0 * found.labels, found.scope))
    assert landed_in_words(nothing) == f"Nothing was found{where}."


def runs(told):
    """The runs that a provenance tells of, the newest last."""
    return [run["run"] for run in (*told.get("earlier", ()), told)]


def test_another_plane_gets_numbers_of_its_own_and_both_runs_are_told():
    old, new = outcome(0), outcome(1)
    [(part, values)] = exchanged(old.labels, new, old.highest)
    assert part[0] == 1
    assert values[0].tolist() == [3, 4, 0, 0]
    both = merge(old, new, old.labels, old.highest)
    assert both.highest == 4
    assert both.scope.frames == ((0,), (1,))
    assert both.provenance == {**new.provenance, "earlier": [old.provenance]}
    assert both.predictions.keys() == {(0,), (1,)}


def after(*made):
    """One run after the other into the same labels."""
    first, *others = made
    for other in others:
        first = merge(first, other, first.labels, first.highest)
    return first


def test_runs_are_told_from_the_oldest_to_the_newest():
    told = after(outcome(0, "a"), outcome(1, "b"), outcome(2, "c")).provenance
    assert runs(told) == ["a", "b", "c"]
    assert "earlier" not in told["earlier"][1]


def test_runs_of_which_nothing_is_left_are_not_told():
    first, second = outcome(0, "a"), outcome(1, "b")
    assert runs(after(first, second, outcome(0, "c")).provenance) == ["b", "c"]
    assert runs(after(first, outcome(0, "c")).provenance) == ["c"]
    everything = replace(second.scope, frames=((0,), (1,), (2,)))
    stack = {**second.provenance, "scope": describe_scope(everything)}
    whole = replace(second, scope=everything, provenance=stack)
    assert stack["scope"]["planes"] == "all"
    assert runs(after(whole, outcome(0, "c")).provenance) == ["b", "c"], "its other planes are left"
    planes = [outcome(0, "c"), outcome(1, "d"), outcome(2, "e")]
    assert runs(after(whole, *planes).provenance) == ["c", "d", "e"], "one after the other"


def test_a_region_leaves_what_lies_around_it():
    region = Region(slice(0, 2), slice(0, 2))
    told = after(outcome(0, "a"), outcome(0, "b", region)).provenance
    assert runs(told) == ["a", "b"]
    assert runs(after(outcome(0, "b", region), outcome(0, "c")).provenance) == ["c"]
    within = after(outcome(0, "a"), outcome(0, "b", region), outcome(1, "c"))
    assert runs(within.provenance) == ["a", "b", "c"]


def test_what_the_sliders_made_anew_is_told_of_every_run():
    both = after(outcome(0, "a"), outcome(1, "b"))
    told = relabel(both, 0.8, 7, None).provenance
    assert runs(told) == ["a", "b"]
    for run in (told, *told["earlier"]):
        assert (run["threshold"], run["min_size"]) == (0.8, 7)
    assert both.provenance["earlier"][0]["threshold"] == 0.5, "the mask may not be written"


def test_the_sliders_too_see_what_lies_around_a_region():
    """An object that the region cuts is as large as it is, also once the sliders were moved."""
    found = np.zeros((3, 40, 60), np.float32)
    found[0] = 1
    found[:, 10:30, 20:40] = np.array([0, 0.2, 0.8])[:, None, None]
    region = Region(slice(0, 40), slice(38, 60))
    axes = guess_axes((40, 60), ("y", "x"))
    made = replace(
        outcome(0),
        scope=Scope(axes, ((),), region=region),
        predictions={(): Prediction(found, 1.0, region.box)},
    )
    anew = relabel(made, 0.9, 100, None)
    assert np.argwhere(anew.labels).min(axis=0).tolist() == [10, 38]
    assert np.count_nonzero(anew.labels) == 20 * 2, "of 400 pixels; only what is inside is written"
    assert not relabel(made, 0.9, 401, None).labels.any()


def test_labels_are_counted_in_whatever_order_they_come():
    planes = [np.array([[0, 3], [3, 1]]), np.array([[7, 0], [1, 0]]), np.zeros((2, 2), int)]
    assert count_labels(planes) == 3
    assert count_labels(planes[2:]) == 0


def test_large_numbers_are_counted_in_little_memory():
    planes = [np.full((3, 4), 5, np.int32), np.zeros((3, 4), np.int32)]
    planes[0][0, :2] = 900_000_000, 13
    planes[1][1] = 12, 13, 900_000_000, 2**31 - 1
    tracemalloc.start()
    assert count_labels(planes) == 5
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_labels_may_be_painted_while_they_are_counted():
    plane, over = np.ones((300, 300), np.int32), threading.Event()

    def paint():
        for number in itertools.cycle([99, 1]):
            plane[0, 0] = number
            if over.is_set():
                return

    painter = threading.Thread(target=paint)
    painter.start()
    try:
        counts = {count_labels([plane]) for _ in range(500)}
    finally:
        over.set()
        painter.join()
    assert counts <= {1, 2}
