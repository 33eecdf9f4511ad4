"""Labels on disk: every level as it should be, and readable by others."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Reader

from napari_medt.engine import labelfile
from napari_medt.engine.labelfile import LabelFile
from napari_medt.engine.stitch import BlockGrid


@settings(max_examples=15)
@given(
    height=st.integers(1, 99),
    width=st.integers(1, 99),
    size=st.sampled_from([7, 16, 30, 64]),
    seed=st.integers(0, 99),
)
def test_coarse_levels_take_every_nth_pixel(tmp_path_factory, height, width, size, seed):
    """Block by block in any order."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2**32, (height, width), np.uint32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelfile, "SMALLEST", 20)
        folder = tmp_path_factory.mktemp("labels")
        file = LabelFile.create(folder, height, width, chunk=size, pixel_size=(1, 1), unit="")
        grid = BlockGrid(height, width, size)
        for index in rng.permutation(len(grid)):
            area = grid.area(int(index))
            file.write(area, labels[area])
            file.refresh(area)
    assert max(file.levels[-1].shape) <= 20
    for number, level in enumerate(LabelFile.open(folder).levels):
        assert np.array_equal(level[:], labels[:: 2**number, :: 2**number])


@pytest.mark.parametrize("translation", [(0, 0), (100, 200)])
@pytest.mark.parametrize(
    ("pixel_size", "unit"), [((0.25, 0.5), "micrometer"), ((1, 1), ""), ((2, 2), "")]
)
def test_another_reader_opens_it(tmp_path, pixel_size, unit, translation):
    """The one of the people who made the format."""
    labels = np.random.default_rng(0).integers(0, 2**32, (700, 900), np.uint32)
    everything = (slice(0, 700), slice(0, 900))
    path = tmp_path / "a.zarr"
    placed = {"pixel_size": pixel_size, "unit": unit, "translation": translation}
    file = LabelFile.create(path, 700, 900, chunk=512, **placed)
    file.write(everything, labels)
    file.refresh(everything)

    [node] = Reader(parse_url(tmp_path / "a.zarr"))()
    assert node.load(Label) is not None
    assert [level.shape for level in node.data] == [(700, 900), (350, 450)]
    assert np.array_equal(node.data[0].compute(), labels)
    assert np.array_equal(node.data[1].compute(), labels[::2, ::2])
    scales = [steps[0]["scale"] for steps in node.metadata["coordinateTransformations"]]
    assert scales == [[step * side for side in pixel_size] for step in (1, 2)]
    moved = [steps[1]["translation"] for steps in node.metadata["coordinateTransformations"]]
    assert moved == [list(translation)] * 2, "picked pixels lie where they are in the finest"
    units = {axis.get("unit") for axis in node.metadata["axes"]}
    assert units == {unit or None}


@pytest.mark.parametrize("number", [0, 1])
def test_a_chunk_that_somebody_reads_is_written_a_moment_later(tmp_path, monkeypatch, number):
    """As on Windows, which replaces no file that is open."""
    everything = (slice(0, 700), slice(0, 900))
    labels = np.random.default_rng(0).integers(0, 2**32, (700, 900), np.uint32)
    file = LabelFile.create(tmp_path / "a.zarr", 700, 900, chunk=512, pixel_size=(1, 1), unit="")
    monkeypatch.setattr(labelfile, "PAUSES", (0,) * 3)
    refused = refuse(monkeypatch, file.levels[number], times=3)
    file.write(everything, labels)
    file.refresh(everything)
    assert len(refused) == 3
    for step, level in zip((1, 2), file.levels, strict=True):
        assert np.array_equal(level[:], labels[::step, ::step])


def test_a_chunk_that_may_not_be_written_is_an_error(tmp_path, monkeypatch):
    file = LabelFile.create(tmp_path / "a.zarr", 9, 9, chunk=512, pixel_size=(1, 1), unit="")
    monkeypatch.setattr(labelfile, "PAUSES", (0,) * 3)
    refuse(monkeypatch, file.levels[0], times=4)
    with pytest.raises(PermissionError):
        file.write((slice(0, 9), slice(0, 9)), np.ones((9, 9), np.uint32))


def refuse(monkeypatch, level, times):
    """Let a level refuse to be written so many times; give the list of these."""
    write, refused = zarr.Array.__setitem__, []

    def reluctant(array, area, values):
        if array is level and len(refused) < times:
            refused.append(area)
            raise PermissionError
        write(array, area, values)

    monkeypatch.setattr(zarr.Array, "__setitem__", reluctant)
    return refused
