"""Objects of a slide get their numbers once, whoever is stopped or comes in between."""

import weakref
from contextlib import suppress

import numpy as np
import pytest
import zarr

from napari_medt.engine import numbering
from napari_medt.engine.files import STATE
from napari_medt.engine.numbering import write_numbers
from napari_medt.engine.slide import segment_slide
from napari_medt.engine.stitch import read_strips
from tests.engine.standin import Painted, drawn, levels_of, slide_labels, standin


def test_strips_of_a_few_blocks_at_a_time_are_in_memory(tmp_path, monkeypatch):
    seen, most = [], 0

    def watched(path):
        nonlocal most
        strips = read_strips(path)
        seen.extend(weakref.ref(strip) for strip in strips)
        most = max(most, sum(strip() is not None for strip in seen))
        return strips

    monkeypatch.setattr(numbering, "read_strips", watched)
    slide_labels(levels_of([drawn(0, (300, 300))]), standin(Painted(), 64), tmp_path, block=100)
    assert len(seen) == 2 * 9
    assert most <= 2 * 2, "of a block, and of the one before"


def test_stopped_while_objects_get_their_numbers(tmp_path, monkeypatch):
    """What is stitched is not stitched again: labels that it followed from are overwritten."""
    levels, model = levels_of([drawn(0, (300, 300))]), standin(Painted(), 64)
    output = tmp_path / "out.zarr"
    expected, _ = slide_labels(levels, model, tmp_path, block=100)

    def killed(grid, index, *more):
        if index == 4:
            raise KeyboardInterrupt
        write_numbers(grid, index, *more)

    monkeypatch.setattr(numbering, "write_numbers", killed)
    with pytest.raises(KeyboardInterrupt):
        segment_slide(levels, model, output, block=100, device="cpu")
    monkeypatch.setattr(numbering, "write_numbers", write_numbers)
    monkeypatch.delattr(numbering, "read_strips")
    segment_slide(levels, model, output, block=100, device="cpu")
    assert np.array_equal(zarr.open_array(output / "0", mode="r")[:], expected)


@pytest.mark.parametrize("stop", [None, 8])
def test_another_process_may_finish_at_the_same_time(tmp_path, monkeypatch, stop):
    """It ends, or has numbered most blocks, while objects across blocks are looked for here."""
    levels, model = levels_of([drawn(0, (300, 300))]), standin(Painted(), 64)
    output, find = tmp_path / "out.zarr", numbering.find_pairs
    expected, summary = slide_labels(levels, model, tmp_path, block=100)

    def run():
        return segment_slide(levels, model, output, block=100, device="cpu")

    def killed(grid, index, *more):
        if index == stop:
            raise KeyboardInterrupt
        write_numbers(grid, index, *more)

    def overtaken(*arguments):
        monkeypatch.setattr(numbering, "find_pairs", find)
        monkeypatch.setattr(numbering, "write_numbers", killed)
        with suppress(KeyboardInterrupt):
            run()
        monkeypatch.setattr(numbering, "write_numbers", write_numbers)
        return find(*arguments)

    monkeypatch.setattr(numbering, "find_pairs", overtaken)
    assert run() == summary
    assert np.array_equal(zarr.open_array(output / "0", mode="r")[:], expected)
    assert not list((output / STATE).glob("*.npz"))
