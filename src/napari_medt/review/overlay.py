"""Pictures of a segmentation for people without a viewer."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import mark_boundaries

from napari_medt.engine.files import write_tiff, write_whole
from napari_medt.engine.formats.plain import read_image
from napari_medt.engine.image import as_rgb, check_image
from napari_medt.engine.segment import segment
from napari_medt.models import DEMO_MODEL
from napari_medt.models.store import load_model

OUTLINE = (1.0, 0.85, 0.0)
SAMPLE = Path(__file__).parents[1] / "sample_data" / "images" / "fluorescence_nuclei.png"


def draw_overlay(image: NDArray, labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Outline labels on an image.

    Parameters
    ----------
    image : array
        ``(H, W)`` or ``(H, W, 3|4)``.
    labels : array of int
        ``(H, W)``.

    Returns
    -------
    array of uint8
        ``(H, W, 3)``.

    Raises
    ------
    ImageError
        If the image cannot be segmented; see :func:`~napari_medt.engine.image.check_image`.
    """
    rgb = as_rgb(check_image(image))
    return (mark_boundaries(rgb, labels, color=OUTLINE) * 255).astype(np.uint8)


def write_demo(folder: Path) -> list[Path]:
    """Segment the bundled sample and write its labels and an overlay picture.

    Returns
    -------
    list of Path
        The files written.
    """
    image = read_image(SAMPLE)
    labels = segment(image, load_model(DEMO_MODEL)).labels
    paths = [folder / f"{SAMPLE.stem}.labels.tif", folder / f"{SAMPLE.stem}.overlay.png"]
    write_whole(paths[0], lambda beside: write_tiff(beside, labels.astype(np.uint16)))
    overlay = draw_overlay(image, labels)
    write_whole(paths[1], lambda beside: imageio.imwrite(beside, overlay))
    return paths
