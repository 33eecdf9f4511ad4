"""Cut a batch of images into square patches and put them back: two functions that undo each other.

::

    (N, C, 2p, 2p)            (4N, C, p, p)
    +---+---+
    | 0 | 1 |   split ->   0, 1, 2, 3 of the first image, then of the second ...
    +---+---+   <- join
    | 2 | 3 |
    +---+---+
"""

from __future__ import annotations

from torch import Tensor


def split_patches(images: Tensor, patch_size: int) -> Tensor:
    """Cut images into patches, row by row, image by image.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``; H and W are multiples of `patch_size`.
    patch_size : int
        Side of a patch in pixels.

    Returns
    -------
    Tensor
        ``(N * H/p * W/p, C, p, p)``.
    """
    n, c, h, w = images.shape
    rows, columns = h // patch_size, w // patch_size
    grid = images.reshape(n, c, rows, patch_size, columns, patch_size)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, c, patch_size, patch_size)


def join_patches(patches: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`split_patches`.

    Parameters
    ----------
    patches : Tensor
        ``(N * H/p * W/p, C, p, p)``.
    height, width : int
        H and W of the whole images.

    Returns
    -------
    Tensor
        ``(N, C, H, W)``.
    """
    c, patch_size = patches.shape[1:3]
    rows, columns = height // patch_size, width // patch_size
    grid = patches.reshape(-1, rows, columns, c, patch_size, patch_size)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, c, height, width)
