"""Segment an image of any size block by block into a label file, and go on where a run stopped."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from napari_medt import __version__
from napari_medt.engine.block import Run, SlideSettings, recipe_hash
from napari_medt.engine.files import STATE, make_folder, unused_name, write_json
from napari_medt.engine.labelfile import CHUNK, LabelFile
from napari_medt.engine.numbering import number_blocks
from napari_medt.engine.overview import look_over
from napari_medt.engine.progress import IsCancelled, Progress, never, silent
from napari_medt.engine.segment import check_branches, check_tiled
from napari_medt.engine.source import Level
from napari_medt.engine.stitch import read_counts
from napari_medt.engine.window import side_seen
from napari_medt.errors import DataError
from napari_medt.models.store import Model
from napari_medt.network.config import Branches

BLOCK = 3072  # side of a block in the network's pixels: larger wastes less, and takes more memory


@dataclass(frozen=True)
class Summary:
    """What a finished run reports.

    Attributes
    ----------
    objects : int or None
        How many objects there are; None for models of classes.
    blank : float
        Share of the tiles that were blank, 0 to 1.
    level : int
        Which of the image's resolutions was segmented, 0 for the finest.
    magnification : float
        How much larger the network saw it.
    """

    objects: int | None
    blank: float
    level: int
    magnification: float

    def in_words(self) -> str:
        """Say what was found, and what was skipped."""
        found = "" if self.objects is None else f"{self.objects} objects at "
        sentence = (
            f"{found}resolution {self.level + 1}, seen {self.magnification:.2g} times as large; "
            f"{100 * self.blank:.0f} % of the tiles were blank and skipped."
        )
        return sentence[0].upper() + sentence[1:]


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
    level: int | None = None,
    magnification: float | None = None,
    block: int | None = None,
    device: str = "auto",
    execute: Execute | None = None,
    progress: Progress = silent,
    cancelled: IsCancelled = never,
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
    level : int, optional
        Which of the levels; by default the one whose objects fit the model best.
    block : int, optional
        Side of a block in pixels; by default as large as the memory of a laptop allows.
    execute : Execute, optional
        Where blocks are done; by default here, one by one.
    progress : callable, optional
        Called with ``(blocks done, blocks in all)``, first with what an earlier run has done.
    cancelled : callable, optional
        Asked often; true stops the run, which can go on later.

    Returns
    -------
    Summary
        How many objects there are, and how the image was seen. The labels, in pixels of the chosen
        level, are in `output`.

    Raises
    ------
    ImageError
        If there is no such level, the image cannot be segmented or read, or there are more objects
        than can be numbered.
    ModelError
        If the model looks at whole images, does not have the branch, or gives no numbers.
    DeviceError
        If the device is not there.
    DataError
        If `output` cannot be made, or is not that of a run with these settings.
    Cancelled
        If `cancelled` said so.
    """
    check_branches(branches, model)
    check_tiled(model)
    card = model.card
    asked: dict[str, Any] = {
        "model": card.name,
        "weights": card.sha256,
        "card": recipe_hash(card),
        "branches": branches,
        "threshold": card.threshold if threshold is None else threshold,
        "min_size": card.min_size if min_size is None else min_size,
    }
    chosen = {"level": level, "magnification": magnification, "block": block}
    asked |= {name: value for name, value in chosen.items() if value is not None}
    if not output.exists():
        begin(levels, model, output, asked, device)
    check_same(output, asked, levels)
    run = Run.open(output, levels, model, device)
    if not run.summary_file.exists():
        do_blocks(run, execute or one_by_one, progress, cancelled)
    if not run.summary_file.exists():  # another process may have done the rest meanwhile
        end(run, cancelled)
    return Summary(**json.loads(run.summary_file.read_text(encoding="utf-8")))


def end(run: Run, cancelled: IsCancelled) -> None:
    """Finish a run, write its summary and clear up, unless another process was first."""
    try:
        summary = finish(run, cancelled)
    except FileNotFoundError:
        if run.summary_file.exists():  # and the other one has cleared up
            return
        raise
    if not run.summary_file.exists():
        write_json(run.summary_file, asdict(summary))
    for path in run.state.glob("*.npz"):
        path.unlink(missing_ok=True)


def begin(
    levels: Sequence[Level], model: Model, output: Path, asked: dict[str, Any], device: str
) -> None:
    """Look over the image, settle all settings and make the run's folder, whole or not at all."""
    overview = look_over(
        levels,
        model,
        asked["branches"],
        level=asked.get("level"),
        magnification=asked.get("magnification"),
        device=device,
    )
    block = max(1, side_seen(BLOCK, model.card, overview.magnification) // CHUNK) * CHUNK
    settings = SlideSettings(
        **{"block": block, **asked, **plane_identity(levels, overview.level), **asdict(overview)}
    )
    make_folder(output.parent)
    beside = unused_name(output.parent)
    beside.mkdir()
    try:
        fill_folder(beside, levels[settings.level], settings)
        try:
            os.replace(beside, output)
        except OSError:
            if not output.exists():  # else another process has begun the same run: take part in it
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def plane_identity(levels: Sequence[Level], index: int) -> dict[str, Any]:
    """What identifies the plane that is segmented; empty where there is no such level."""
    if index >= len(levels):
        return {"image": ""}
    return {"image": levels[index].fingerprint(), "channel": levels[index].channel}


def fill_folder(folder: Path, level: Level, settings: SlideSettings) -> None:
    """Fill the folder of a run: labels of background only, and the settings."""
    chunk = settings.block if settings.block % CHUNK else CHUNK
    LabelFile.create(
        folder,
        level.height,
        level.width,
        chunk=chunk,
        pixel_size=level.pixel_size,
        unit=level.unit,
        translation=level.translation,
    )
    state = folder / STATE
    state.mkdir()
    write_json(state / "settings.json", asdict(settings))


def check_same(folder: Path, asked: dict[str, Any], levels: Sequence[Level]) -> None:
    """Refuse a folder that is not that of a run with these settings.

    Raises
    ------
    DataError
        If it is not.
    """
    try:
        settings = asdict(SlideSettings.read(folder))
    except (OSError, ValueError, TypeError, KeyError):
        raise DataError(
            f"{folder} is there already and is not a run to go on with: choose another output."
        ) from None
    asked = {**asked, **plane_identity(levels, settings["level"]), "version": __version__}
    other = [name for name, value in asked.items() if settings[name] != value]
    if other:
        raise DataError(
            f"{folder} holds a run with another {' and another '.join(other)}: choose another "
            "output, or the same settings to go on with it."
        )


def do_blocks(run: Run, execute: Execute, progress: Progress, cancelled: IsCancelled) -> None:
    """Do the blocks that are left, and let the coarser levels of the labels grow with them."""
    labels, todo, total = LabelFile.open(run.folder), run.todo(), len(run.grid)
    count = total - len(todo)

    def done(index: int) -> None:
        nonlocal count
        labels.refresh(run.grid.area(index))
        count += 1
        progress(count, total)

    progress(count, total)
    execute(run, todo, done, cancelled)


def one_by_one(
    run: Run, todo: Sequence[int], done: Callable[[int], None], cancelled: IsCancelled
) -> None:
    """Do blocks here, one after the other."""
    for index in todo:
        run.do(index, cancelled)
        done(index)


def finish(run: Run, cancelled: IsCancelled) -> Summary:
    """Number the objects of all blocks, and sum up the run."""
    records = [read_counts(run.record_path(index)) for index in range(len(run.grid))]
    sizes, tiles, blank = zip(*records, strict=True)
    objects = number_blocks(run, sizes, cancelled)
    return Summary(
        objects=objects if run.model.card.splits_objects else None,
        blank=sum(blank) / sum(tiles),
        level=run.settings.level,
        magnification=run.settings.magnification,
    )
