"""A label image on disk that grows block by block: OME-Zarr (NGFF 0.4), with a pyramid."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_medt.engine.tiles import Area

CHUNK = 512  # pixels a side; blocks of other sizes are a chunk each, so that no two share one
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds before a chunk is written once more
SMALLEST = 512  # the pyramid ends with the first level of at most this many pixels a side


@dataclass(frozen=True, eq=False)
class LabelFile:
    """Labels at several resolutions, each half the one before.

    Attributes
    ----------
    levels : list of zarr.Array
        ``(H, W)`` uint32 each, the finest first. A chunk is there whole or not at all.
    """

    levels: list[zarr.Array]

    @classmethod
    def create(
        cls,
        folder: Path,
        height: int,
        width: int,
        *,
        chunk: int,
        pixel_size: tuple[float, float],
        unit: str,
        translation: tuple[float, float] = (0.0, 0.0),
    ) -> LabelFile:
        """Make a label image of background only.

        Parameters
        ----------
        folder : Path
            A new or an empty folder.
        height, width : int
            In pixels.
        chunk : int
            Side of a chunk in pixels.
        pixel_size, unit, translation
            See :class:`napari_medt.engine.source.Level`.
        """
        group = zarr.create_group(folder, zarr_format=2)
        steps = [1]
        while max(height, width) > SMALLEST * steps[-1]:
            steps.append(steps[-1] * 2)
        for number, step in enumerate(steps):
            group.create_array(
                str(number),
                shape=(-(-height // step), -(-width // step)),
                chunks=(chunk, chunk),
                dtype=np.uint32,
                fill_value=0,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
        group.attrs.update(label_metadata(steps, pixel_size, unit, translation))
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> LabelFile:
        """Open a label image to go on writing it."""
        group = zarr.open_group(folder, mode="r+")
        images: Any = group.attrs["multiscales"]
        names = [dataset["path"] for dataset in images[0]["datasets"]]
        return cls([zarr.open_array(folder / name, mode="r+") for name in names])

    def read(self, area: Area) -> NDArray[np.uint32]:
        """Read labels at the finest resolution."""
        return np.asarray(self.levels[0][area], np.uint32)

    def write(self, area: Area, labels: NDArray[np.uint32]) -> None:
        """Write labels at the finest resolution; background that is there already is left out."""
        write_chunks(self.levels[0], area, labels)

    def refresh(self, area: Area) -> None:
        """Bring the coarser levels up to date with an area of the finest.

        One process at a time: blocks share the chunks of coarse levels.
        """
        finest = self.read(area)
        for number, level in enumerate(self.levels[1:], start=1):
            step = 2**number
            rows, columns = (slice(-(-part.start // step), -(-part.stop // step)) for part in area)
            every = finest[
                rows.start * step - area[0].start :: step,
                columns.start * step - area[1].start :: step,
            ]
            if every.size:
                write_chunks(level, (rows, columns), every)


def write_chunks(level: zarr.Array, area: Area, labels: NDArray[np.uint32]) -> None:
    """Write labels; wait a moment where somebody reads them.

    Windows replaces no file that is open, as a chunk is while a viewer shows it.
    """
    for pause in PAUSES:
        try:
            level[area] = labels
            return
        except PermissionError:
            time.sleep(pause)
    level[area] = labels


def label_metadata(
    steps: list[int], pixel_size: tuple[float, float], unit: str, translation: tuple[float, float]
) -> dict[str, Any]:
    """Metadata of a label image whose levels take every n-th pixel, by the NGFF 0.4 standard.

    Levels that take every n-th pixel, from the first on, share the middle of that, so all have the
    same translation. (Those that are means of n pixels lie further inside.)
    """
    named = {"unit": unit} if unit else {}
    return {
        "multiscales": [
            {
                "version": "0.4",
                "name": "labels",
                "axes": [{"name": name, "type": "space", **named} for name in "yx"],
                "datasets": [
                    {
                        "path": str(number),
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [side * step for side in pixel_size]},
                            {"type": "translation", "translation": list(translation)},
                        ],
                    }
                    for number, step in enumerate(steps)
                ],
            }
        ],
        "image-label": {"version": "0.4"},
    }
