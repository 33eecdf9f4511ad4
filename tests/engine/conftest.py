"""Drawn images in a folder, and batches that run over it."""

import csv

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_medt.engine.batch import Batch
from napari_medt.engine.inputs import find_items
from napari_medt.engine.record import BatchSettings
from tests.engine.standin import CORE_VALUE, RIM_VALUE, Painted, standin

SHAPE = (48, 64)


def picture(*corners):
    """Squares of 12 pixels with a core."""
    image = np.zeros(SHAPE, np.uint8)
    for row, column in corners:
        image[row : row + 12, column : column + 12] = RIM_VALUE
        image[row + 2 : row + 10, column + 2 : column + 10] = CORE_VALUE
    return image


ONE, TWO = picture((4, 4)), picture((4, 4), (30, 40))
STACK = np.stack([ONE] * 6 + [TWO])  # long enough not to be taken for channels


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    imageio.imwrite(folder / "one.png", ONE)
    imageio.imwrite(folder / "two.png", TWO)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def model():
    return standin(Painted())


def run(inputs, out, model, settings=None, **options):
    job = Batch(model, out, settings or BatchSettings(), device="cpu", **options)
    return job.run(find_items([inputs]))


def statuses(results):
    return {result.item.name: result.status for result in results}


def table(out):
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}
