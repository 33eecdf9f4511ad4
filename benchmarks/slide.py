"""Whole slides: time and memory by size, killed and resumed, and two workers against one.

    python -m benchmarks.slide [--size 20000] [--branches both] [--model MODEL] [--output FILE]

Draws H&E-like slides of the size, its half and its quarter, 40 % of each tissue, and segments them
on the command line. The largest and the smallest are killed in the middle and resumed: the
records of their blocks show whether one was done twice, and the labels of the smallest are compared
with those of a run that was not killed. Last, single-threaded workers segment the smallest slide.
Takes about half an hour on two cores, a third of that with the global branch; leave the machine
alone meanwhile.

The files in ``results/`` were put together by hand from several runs with the global branch. All
figures in ``slide.json`` are from before the model of H&E used two zooms, and its ``machine`` is
that of the first run. The slide of 20,000 pixels was segmented by an earlier model than the others,
while the machine had other work, as its ``note`` says; labels were not compared. No command writes
``slide-zooms.json``: it holds the smallest slide, not killed, by the bundled model, and by a copy
of its folder whose card had no second zoom (``--model FOLDER``).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import tifffile
import zarr
from numpy.typing import NDArray

from benchmarks.report import RESULTS, machine, tell
from napari_medt.engine.block import SlideSettings
from napari_medt.engine.files import STATE
from napari_medt.engine.stitch import BlockGrid
from napari_medt.network.config import BRANCHES
from napari_medt.sample_data.generate import draw

MODEL = "nuclei-histology"
TILE = 512
GLASS = 240  # gray value where there is no tissue
# Centre and radii of the pieces of tissue, as shares of the slide's side.
PIECES = [((0.33, 0.30), (0.24, 0.20)), ((0.70, 0.62), (0.22, 0.30)), ((0.20, 0.78), (0.10, 0.12))]
PAUSE = 0.05  # seconds between two looks at a run


@dataclass(frozen=True, eq=False)
class Slide:
    """A slide that is drawn part by part.

    Attributes
    ----------
    size : int
        Side in pixels.
    texture : array of uint8
        Stained tissue ``(h, w, 3)``, mirrored again and again.
    """

    size: int
    texture: NDArray[np.uint8]

    def tissue(self, rows: NDArray, columns: NDArray) -> NDArray[np.bool_]:
        """Whether there is tissue at every crossing of rows and columns."""
        y, x = rows[:, None] / self.size, columns[None] / self.size
        ragged = 0.04 * np.sin(40 * y + 9 * np.sin(25 * x))
        return np.any(
            [
                np.hypot((y - top) / high, (x - left) / wide) + ragged < 1
                for (top, left), (high, wide) in PIECES
            ],
            axis=0,
        )

    def pixels(self, rows: NDArray, columns: NDArray) -> NDArray[np.uint8]:
        """Draw every crossing of rows and columns."""
        rng = np.random.default_rng([rows[0], columns[0]])
        glass = rng.integers(GLASS, GLASS + 3, (len(rows), len(columns), 1), np.uint8)
        height, width = self.texture.shape[:2]
        stain = self.texture[np.ix_(mirrored(rows, height), mirrored(columns, width))]
        return np.where(self.tissue(rows, columns)[..., None], stain, glass)

    def tiles(self, step: int) -> Iterator[NDArray[np.uint8]]:
        """Draw every n-th pixel, tile by tile."""
        starts = range(0, -(-self.size // step), TILE)
        for top in starts:
            for left in starts:
                yield self.pixels(*(self._along(start, step) for start in (top, left)))

    def _along(self, start: int, step: int) -> NDArray:
        return np.arange(start * step, min((start + TILE) * step, self.size), step)

    def tissue_area(self) -> float:
        """Megapixels of tissue."""
        every = np.arange(0, self.size, max(1, self.size // 1000))
        return float(self.tissue(every, every).mean()) * self.size**2 / 1e6

    def write(self, path: Path) -> None:
        """Write a tiled, pyramidal OME-TIFF."""
        steps = [1]
        while self.size > TILE * steps[-1]:
            steps.append(steps[-1] * 2)
        with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
            for step in steps:
                side = -(-self.size // step)
                file.write(
                    self.tiles(step),
                    shape=(side, side, 3),
                    dtype=np.uint8,
                    tile=(TILE, TILE),
                    photometric="rgb",
                    compression="zlib",
                    **({"subifds": len(steps) - 1} if step == 1 else {"subfiletype": 1}),
                )


def mirrored(places: NDArray, length: int) -> NDArray:
    """Places in something of a length that is continued by its mirror image."""
    back = places % (2 * length)
    return np.minimum(back, 2 * length - 1 - back)


@dataclass
class Watched:
    """What was seen of a run from outside.

    Attributes
    ----------
    records : dict
        By the name of a block's record, the times at which it was written.
    peak : int
        Bytes that the process and its children took together.
    seconds : float
        From the start of the process to its end, or until it was killed.
    """

    records: dict[str, set[int]] = field(default_factory=dict)
    peak: int = 0
    seconds: float = 0

    def look(self, process: psutil.Process, output: Path) -> None:
        """Look at the processes' memory, and at the folder of the run."""
        self.peak = max(self.peak, memory(process))
        for path in (output / STATE).glob("block-*.npz"):
            with suppress(FileNotFoundError):  # the run has just ended
                self.records.setdefault(path.name, set()).add(path.stat().st_mtime_ns)


def memory(process: psutil.Process) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    return total


def run(
    image: Path,
    output: Path,
    *options: str,
    kill: Callable[[Watched], bool] = lambda _: False,
    **environment: str,
) -> Watched:
    """Segment a slide on the command line and watch it; kill it without a warning if asked."""
    command = [sys.executable, "-m", "napari_medt.cli", "segment", image]
    watched, start = Watched(), time.perf_counter()
    process = psutil.Popen(
        [*command, "--output", output, *options],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        watched.look(process, output)
        if kill(watched):
            process.kill()
            process.wait()
            watched.seconds = time.perf_counter() - start
            watched.look(process, output)
            return watched
        time.sleep(PAUSE)
    watched.seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(process.returncode)
    return watched


def figures(watched: Watched, output: Path) -> dict[str, float]:
    """Seconds in all; those from settled settings to the end, so without the start; megabytes."""
    first, last = (output / STATE / f"{name}.json" for name in ("settings", "summary"))
    return {
        "seconds": watched.seconds,
        "seconds in blocks": last.stat().st_mtime - first.stat().st_mtime,
        "peak MB": watched.peak / 1e6,
    }


def count_blocks(output: Path, size: int) -> int:
    return len(BlockGrid(size, size, SlideSettings.read(output).block))


def by_size(slide: Slide, image: Path, output: Path, *options: str) -> dict[str, float]:
    """Segment a slide at one go."""
    measured = figures(run(image, output, *options), output)
    area, magnification = slide.tissue_area(), SlideSettings.read(output).magnification
    return {
        "size": slide.size,
        "tissue, megapixels": area,
        "magnification": magnification,
        "blocks": count_blocks(output, slide.size),
        **measured,
        "seconds in blocks per megapixel of tissue": measured["seconds in blocks"] / area,
        "the same as magnified": measured["seconds in blocks"] / area / magnification**2,
    }


def killed_and_resumed(slide: Slide, image: Path, output: Path, *options: str) -> dict[str, object]:
    """Kill a run when half of its blocks are done, and resume it."""

    def half(watched: Watched) -> bool:
        begun = (output / STATE).exists()
        return begun and len(watched.records) >= count_blocks(output, slide.size) // 2

    first = run(image, output, *options, kill=half)
    rest = run(image, output, *options)
    names = first.records | rest.records
    times = [first.records.get(name, set()) | rest.records.get(name, set()) for name in names]
    seconds = first.seconds + rest.seconds
    return {
        "size": slide.size,
        "blocks": count_blocks(output, slide.size),
        "seconds": seconds,
        "seconds per megapixel of tissue": seconds / slide.tissue_area(),
        "done when killed": len(first.records),
        "done twice": sum(len(written) > 1 for written in times),
        "seen in all": len(times),
        "peak MB": max(first.peak, rest.peak) / 1e6,
    }


def differing_pixels(first: Path, second: Path) -> int:
    """Count pixels whose labels differ, a row of chunks at a time."""
    one, other = (zarr.open_array(path / "0", mode="r") for path in (first, second))
    rows = [slice(top, top + TILE) for top in range(0, one.shape[0], TILE)]
    return sum(int(np.count_nonzero(one[part] != other[part])) for part in rows)


def throughput(slide: Slide, image: Path, folder: Path, *options: str) -> dict[str, object]:
    """Compare two single-threaded workers with one."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    runs = {}
    for count in (1, 2):
        output = folder / f"{count}.zarr"
        watched = run(image, output, *options, "--workers", str(count), **threads)
        runs[count] = figures(watched, output)
    return {
        "size": slide.size,
        "blocks": count_blocks(folder / "1.zarr", slide.size),
        "workers": runs,
        "speed-up": runs[1]["seconds in blocks"] / runs[2]["seconds in blocks"],
    }


def measure(size: int, folder: Path, *options: str) -> dict[str, object]:
    texture, _ = draw("histology_nuclei")
    slides = {side: Slide(side, texture) for side in (size // 4, size // 2, size)}
    images = {side: folder / f"{side}.ome.tif" for side in slides}
    results: dict[str, object] = {"machine": machine(), "options": options}
    rows = []
    for side, slide in slides.items():
        slide.write(images[side])
    for side in (size // 4, size // 2):
        rows.append(by_size(slides[side], images[side], folder / f"{side}.zarr", *options))
        print(rows[-1], flush=True)
    results["by size"] = rows
    resumed = [
        killed_and_resumed(slides[side], images[side], folder / f"resumed-{side}.zarr", *options)
        for side in (size // 4, size)
    ]
    small = size // 4
    resumed[0]["pixels that differ"] = differing_pixels(
        folder / f"{small}.zarr", folder / f"resumed-{small}.zarr"
    )
    print(resumed, flush=True)
    results["killed and resumed"] = resumed
    results["workers"] = throughput(slides[small], images[small], folder, *options)
    return results


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=20_000, help="side in pixels")
    parser.add_argument("--output", type=Path, default=RESULTS / "slide.json")
    parser.add_argument("--branches", choices=BRANCHES, default="both")
    parser.add_argument("--model", default=MODEL, help="name or folder; default: %(default)s")
    options = parser.parse_args(arguments)
    chosen = ("--model", options.model, "--branches", options.branches)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options.size, Path(folder), *chosen)
    tell(options.output, results)


if __name__ == "__main__":
    main()
