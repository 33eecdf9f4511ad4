"""An image, and the command line called in this process."""

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_medt import cli


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.png"
    pixels = (np.random.default_rng(0).random((80, 100)) * 255).astype(np.uint8)
    imageio.imwrite(path, pixels)
    return path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])
