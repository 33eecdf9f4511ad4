"""The benchmark of slides on a small one: it draws, watches, kills and compares."""

import numpy as np
import pytest

from benchmarks import slide
from napari_medt.engine.pyramid import open_levels
from napari_medt.sample_data.generate import draw


@pytest.fixture
def drawn():
    texture = np.random.default_rng(0).integers(0, 200, (64, 64, 3), np.uint8)
    return slide.Slide(1300, texture)


def test_a_third_is_tissue_and_levels_are_those_pixels(drawn, tmp_path):
    drawn.write(tmp_path / "slide.ome.tif")
    levels = open_levels(tmp_path / "slide.ome.tif")
    assert [level.height for level in levels] == [1300, 650, 325]
    finest, coarse = (level.read((slice(None), slice(None))) for level in levels[:2])
    every = np.arange(1300)
    tissue = drawn.tissue(every, every)
    assert 0.3 < tissue.mean() < 0.5
    assert tissue.sum() / 1e6 == pytest.approx(drawn.tissue_area(), rel=0.01)
    assert (finest[tissue] < 200).all()
    assert (finest[~tissue] >= slide.GLASS).all()
    inside = tissue[::2, ::2]
    assert np.array_equal(coarse[inside], finest[::2, ::2][inside])


def test_a_small_one_is_measured_killed_and_resumed(tmp_path):
    small, image = slide.Slide(400, draw("histology_nuclei")[0]), tmp_path / "slide.ome.tif"
    small.write(image)
    model = ("--model", slide.MODEL)
    row = slide.by_size(small, image, tmp_path / "once.zarr", *model)
    assert row["peak MB"] > 100
    assert 0 < row["seconds in blocks"] < row["seconds"]
    resumed = slide.killed_and_resumed(small, image, tmp_path / "resumed.zarr", *model)
    assert resumed["done twice"] == 0
    assert resumed["seen in all"] <= resumed["blocks"] == row["blocks"] == 1
    assert slide.differing_pixels(tmp_path / "once.zarr", tmp_path / "resumed.zarr") == 0
