"""Patches: split and join undo each other."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.network.patches import join_patches, split_patches

few = st.integers(1, 4)


@given(n=few, c=few, rows=few, columns=few, size=st.integers(1, 7))
def test_join_undoes_split(n, c, rows, columns, size):
    images = torch.rand(n, c, rows * size, columns * size)
    patches = split_patches(images, size)
    assert patches.shape == (n * rows * columns, c, size, size)
    assert torch.equal(join_patches(patches, rows * size, columns * size), images)


def test_patches_run_row_by_row_image_by_image():
    images = torch.arange(2 * 4 * 4).view(2, 1, 4, 4)
    patches = split_patches(images, 2)
    assert torch.equal(patches[1], images[0, :, :2, 2:])
    assert torch.equal(patches[4], images[1, :, :2, :2])
