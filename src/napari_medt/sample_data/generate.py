"""Draw the sample images and their ground truth: ``python -m napari_medt.sample_data.generate``.

Nothing here was measured on a patient or a cell. Each picture follows a simple model of how such
an image arises (fluorescence and photon noise, light absorbed by dyes or by melanin, echoes of a
sound beam), so that a program has something fair to segment and every outline is known exactly.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from napari_medt.sample_data.clinic import dermoscopy, ultrasound
from napari_medt.sample_data.microscopy import fluorescence, histology
from napari_medt.sample_data.shapes import Image, Labels

HERE = Path(__file__).parent

SAMPLES: dict[str, tuple[Callable[[np.random.Generator], tuple[Image, Labels]], int]] = {
    "fluorescence_nuclei": (fluorescence, 2),
    "histology_nuclei": (histology, 3),
    "skin_lesion": (dermoscopy, 5),
    "fetal_head": (ultrasound, 7),
}


def draw(name: str) -> tuple[Image, Labels]:
    """Draw one of `SAMPLES` with its seed.

    Returns
    -------
    image : (H, W) or (H, W, 3) array of uint8
        What the microscope or the clinic would show.
    labels : (H, W) array of uint16
        0 is background, every object has its own number.
    """
    painter, seed = SAMPLES[name]
    return painter(np.random.default_rng(seed))


def write(folder: Path) -> None:
    """Write all samples as ``images/NAME.png`` and ``labels/NAME.png``."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name in SAMPLES:
        image, labels = draw(name)
        iio.imwrite(folder / "images" / f"{name}.png", image, optimize=True)
        iio.imwrite(folder / "labels" / f"{name}.png", labels, optimize=True)


def main() -> None:
    """Write the samples beside this file, or where the user says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
