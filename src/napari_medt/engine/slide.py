"""Segment an image of any size block by block into a label file, and go on where a run stopped."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medt import __version__
from napari_medt.engine.block import PROVISIONAL, STATE, Run, Settings, provisional
from napari_medt.engine.files import write_whole
from napari_medt.engine.image import check_image, intensity_limits, prepare
from napari_medt.engine.labelfile import CHUNK, LabelFile
from napari_medt.engine.magnify import find_magnification, first_look
from napari_medt.engine.predict import IsCancelled, Progress
from napari_medt.engine.segment import check_branches, predict_plane, with_fallback
from napari_medt.engine.source import Level, Prepared
from napari_medt.engine.stitch import BlockGrid, BlockRecord, agreeing, number_objects
from napari_medt.errors import Cancelled, DataError, ModelError
from napari_medt.models.store import Model
from napari_medt.network.config import Branches

BLOCK = 3072  # side of a block in the network's pixels: larger wastes less, and takes more memory


@dataclass(frozen=True)
class Summary:
    """What a finished run has to tell.

    Attributes
    ----------
    objects : int or None
        How many objects there are; None for models of classes.
    blocks : int
        How many blocks there are.
    blank : float
        Share of the tiles that were blank, 0 to 1.
    magnification : float
        How much larger the network saw the image.
    """

    objects: int | None
    blocks: int
    blank: float
    magnification: float


class Execute(Protocol):
    """A way to do blocks, here or elsewhere."""

    def __call__(
        self, run: Run, todo: Sequence[int], done: Callable[[int], None], cancelled: IsCancelled
    ) -> None:
        """Do all blocks of `todo`; call `done` with each when it is written."""


def segment_slide(
    levels: Sequence[Level],
    model: Model,
    output: Path,
    branches: Branches = "both",
    *,
    threshold: float | None = None,
    min_size: int | None = None,
    level: int = 0,
    magnification: float | None = None,
    block: int | None = None,
    device: str = "auto",
    execute: Execute | None = None,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> Summary:
    """Segment an image of any size into an OME-Zarr label file.

    A run that was stopped goes on where it was; one that is finished is left as it is.

    Parameters
    ----------
    levels : sequence of Level
        From :func:`napari_medt.engine.pyramid.open_levels`.
    model : Model
        A model that sees images in tiles.
    output : Path
        Folder to make, or that of the run to go on with.
    branches, threshold, min_size, magnification, device
        See :func:`napari_medt.segment`.
    level : int
        Which of the levels.
    block : int, optional
        Side of a block in pixels; by default as large as the memory of a laptop allows.
    execute : Execute, optional
        Where blocks are done; by default here, one by one.
    progress : callable, optional
        Called with ``(blocks done, blocks in all)``, first with what an earlier run has done.
    cancelled : callable, optional
        Asked often; true stops the run, which can go on later.

    Raises
    ------
    ImageError, ModelError, DeviceError, DataError
        With one sentence for the user.
    Cancelled
        If `cancelled` said so.
    """
    check_branches(branches, model)
    if model.card.input.scaling == "whole":
        raise ModelError(f"{model.card.name} looks at images as a whole: choose a tiled model.")
    card = model.card
    asked: dict[str, Any] = {
        "model": card.name,
        "weights": card.sha256,
        "image": levels[level].fingerprint(),
        "branches": branches,
        "threshold": card.threshold if threshold is None else threshold,
        "min_size": card.min_size if min_size is None else min_size,
        "level": level,
        "channel": levels[level].channel,
    }
    asked |= {"magnification": magnification} if magnification else {}
    asked |= {"block": block} if block else {}
    if not output.exists():
        begin(levels, model, output, asked, device)
    check_same(output, asked)
    run = Run.open(output, levels, model, device)
    ended = run.state / "summary.json"
    if ended.exists():
        return Summary(**json.loads(ended.read_text(encoding="utf-8")))
    do_blocks(run, execute or one_by_one, progress, cancelled or never)
    summary = finish(run, cancelled or never)
    text = json.dumps(asdict(summary), indent=2) + "\n"
    write_whole(ended, lambda beside: beside.write_text(text, encoding="utf-8"))
    for path in run.state.glob("*.npz"):
        path.unlink()
    return summary


def never() -> bool:
    """Say that nobody cancelled."""
    return False


def begin(
    levels: Sequence[Level], model: Model, output: Path, asked: dict[str, Any], device: str
) -> None:
    """Look at the image, settle all settings and make the folder of a run, whole or not at all."""
    level, rule = levels[asked["level"]], model.card.input
    pixels = check_image(level.sample())
    limits = intensity_limits(pixels, rule)
    if "magnification" not in asked:
        area = first_look(prepare(pixels, rule, limits), level.height, level.width)
        field = Prepared(level, rule, limits).read(area)
        asked["magnification"] = look_at(field, model, asked["branches"], device)
    if "block" not in asked:
        asked["block"] = max(1, int(BLOCK / asked["magnification"]) // CHUNK) * CHUNK
    settings = Settings(**asked, limits=limits)
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        make_folder(beside, level, settings)
        os.replace(beside, output)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def look_at(field: NDArray[np.float32], model: Model, branches: Branches, device: str) -> float:
    """Find the magnification by a part of the image."""

    def look(place: torch.device) -> float:
        run = partial(predict_plane, model=model, branches=branches, device=place)
        return find_magnification(field, model.card, run)

    return with_fallback(look, branches, model, device)


def make_folder(folder: Path, level: Level, settings: Settings) -> None:
    """Fill the folder of a run: labels of background only, and the settings."""
    chunk = min(CHUNK, settings.block)
    LabelFile.create(folder, level.height, level.width, chunk=chunk, pixel_size=level.pixel_size)
    state = folder / STATE
    state.mkdir()
    text = json.dumps(asdict(settings), indent=2) + "\n"
    (state / "settings.json").write_text(text, encoding="utf-8")
    folder.chmod(0o755)


def check_same(folder: Path, asked: dict[str, Any]) -> None:
    """Refuse a folder that is not that of a run with these settings.

    Raises
    ------
    DataError
        With one sentence for the user.
    """
    try:
        settings = asdict(Settings.read(folder))
    except (OSError, ValueError, TypeError):
        raise DataError(
            f"{folder} is there already and is not a run to go on with: choose another output."
        ) from None
    asked = {**asked, "version": __version__}
    other = [name for name, value in asked.items() if settings[name] != value]
    if other:
        raise DataError(
            f"{folder} holds a run with another {' and another '.join(other)}: choose another "
            "output, or the same settings to go on with it."
        )


def do_blocks(
    run: Run, execute: Execute, progress: Progress | None, cancelled: IsCancelled
) -> None:
    """Do the blocks that are left, and let the coarser levels of the labels grow with them."""
    labels, todo, total = LabelFile.open(run.folder), run.todo(), len(run.grid)
    count = total - len(todo)
    tell = progress or (lambda done, total: None)

    def done(index: int) -> None:
        nonlocal count
        labels.refresh(run.grid.area(index))
        count += 1
        tell(count, total)

    tell(count, total)
    execute(run, todo, done, cancelled)


def one_by_one(
    run: Run, todo: Sequence[int], done: Callable[[int], None], cancelled: IsCancelled
) -> None:
    """Do blocks here, one after the other."""
    for index in todo:
        run.do(index, cancelled)
        done(index)


def finish(run: Run, cancelled: IsCancelled) -> Summary:
    """Stitch the blocks and number their objects; done again after a stop, it ends the same."""
    records = [BlockRecord.load(run.record_path(index)) for index in range(len(run.grid))]
    labels = LabelFile.open(run.folder)
    numbers = stitch(run, records, labels)
    for index, block_numbers in enumerate(numbers):
        if cancelled():
            raise Cancelled
        if len(block_numbers):
            write_numbers(run.grid, index, block_numbers, labels)
        labels.refresh(run.grid.area(index))
    return Summary(
        objects=int(max((block.max(initial=0) for block in numbers), default=0))
        if run.model.card.splits_objects
        else None,
        blocks=len(records),
        blank=sum(record.blank for record in records) / sum(record.tiles for record in records),
        magnification=run.settings.magnification,
    )


def stitch(run: Run, records: Sequence[BlockRecord], labels: LabelFile) -> list[NDArray[np.uint32]]:
    """Numbers of every block's labels; kept, since the labels they follow from are overwritten."""
    path = run.state / "numbers.npz"
    ends = np.cumsum([len(record.sizes) for record in records])
    if not path.exists():
        sizes = np.concatenate([record.sizes for record in records])
        pairs = find_pairs(run.grid, run.halo, records, labels)
        numbers = number_objects(sizes, pairs, run.settings.min_size)
        write_whole(path, lambda beside: np.savez(beside, numbers=numbers))
    with np.load(path) as values:
        return np.split(values["numbers"], ends[:-1])


def find_pairs(
    grid: BlockGrid, halo: int, records: Sequence[BlockRecord], labels: LabelFile
) -> NDArray[np.int64]:
    """Labels of different blocks that are the same object, ``(N, 2)``, counted through from 0."""
    starts = np.cumsum([0, *(len(record.sizes) for record in records)])
    pairs = [np.empty((0, 2), np.int64)]
    for index, record in enumerate(records):
        kept = (record.right, record.below)
        for strip, area, other in zip(
            kept, grid.strips(index, halo), grid.neighbours(index), strict=True
        ):
            if strip.any():
                written = local_numbers(labels.read(area), grid, other)
                pairs.append(agreeing(strip, written) - 1 + [starts[index], starts[other]])
    return np.concatenate(pairs)


def local_numbers(written: NDArray[np.uint32], grid: BlockGrid, index: int) -> NDArray[np.uint32]:
    """Turn provisional labels back into a block's own 1, 2, ...; what is not provisional is 0."""
    first = np.uint32(provisional(grid, index)[0] - 1)
    return np.where(written > first, written - first, np.uint32(0))


def write_numbers(
    grid: BlockGrid, index: int, numbers: NDArray[np.uint32], labels: LabelFile
) -> None:
    """Replace a block's provisional labels by their numbers; leave those that have theirs."""
    area = grid.area(index)
    written = labels.read(area)
    local = local_numbers(written, grid, index)
    final = np.concatenate([np.zeros(1, np.uint32), numbers])[local]
    labels.write(area, np.where(written >= PROVISIONAL, final, written))
