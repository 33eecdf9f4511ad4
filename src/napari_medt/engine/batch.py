"""Many images, one after the other: labels, a table of measurements, nothing done twice.

Labels that were corrected by hand are never overwritten, nor used for another image.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import axes_of, check_channel, upright, with_colours_apart
from napari_medt.engine.files import make_folder
from napari_medt.engine.formats.picture import UNEVEN, Picture
from napari_medt.engine.inputs import PROBABILITY_SUFFIX, Item, read_item
from napari_medt.engine.labels import foreground
from napari_medt.engine.measure import measure
from napari_medt.engine.progress import IsCancelled, Progress, never, silent, steps_of
from napari_medt.engine.record import (
    BatchSettings,
    Record,
    fingerprint,
    read_record,
    sha256,
    write_record,
)
from napari_medt.engine.region import Scope
from napari_medt.engine.results import (
    check_probability,
    earlier_rows,
    is_as_written,
    labels_suffix,
    read_labels,
    write_labels,
    write_probability,
)
from napari_medt.engine.segment import check_branches
from napari_medt.engine.summary import Measurements, Result, write_summary
from napari_medt.engine.volume import label_plane, predict_frames, put_together
from napari_medt.errors import (
    Cancelled,
    DataError,
    ImageError,
    UserError,
    file_trouble,
    out_of_memory,
)
from napari_medt.models.store import Model

logger = logging.getLogger("napari_medt")


@dataclass(frozen=True, eq=False)
class Batch:
    """What is done to every image.

    Attributes
    ----------
    model : Model
        From :func:`napari_medt.load_model`.
    output : Path
        Folder for the results; created if missing.
    settings : BatchSettings
        How images are segmented.
    probability : bool
        Whether probabilities are written too.
    again : bool
        Whether to do images again that were done before. Labels that were edited stay.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to run.
    """

    model: Model
    output: Path
    settings: BatchSettings = field(default_factory=BatchSettings)
    probability: bool = False
    again: bool = False
    device: str = "auto"

    def run(
        self,
        items: Sequence[Item],
        progress: Progress = silent,
        cancelled: IsCancelled = never,
    ) -> list[Result]:
        """Segment images. A failure of one does not stop the others.

        ``summary.csv`` in the output folder is written again after every image. It lists all of
        them, and those that earlier runs wrote there.

        Parameters
        ----------
        items : sequence of Item
            From :func:`napari_medt.engine.inputs.find_items`.
        progress : callable, optional
            Called with ``(done, total)``, in which every image counts
            :data:`~napari_medt.engine.progress.STEPS`.
        cancelled : callable, optional
            Called between batches of tiles; true stops the run.

        Returns
        -------
        list of Result
            One for each item.

        Raises
        ------
        DataError, ModelError
            If nothing can be done, or the summary cannot be written in the end.
        Cancelled
            If `cancelled` returned true. What was done until then is kept.
        """
        check_branches(self.settings.branches, self.model)
        results = [Result(item) for item in items]
        make_folder(self.output)
        is_written = cache(is_as_written)  # or all labels would be read again after every image
        self._write_summary(results, is_written)  # fails before the work if it cannot be written
        for number, item in enumerate(items):
            if cancelled():
                raise Cancelled
            share = steps_of(progress, number, len(items))
            results[number] = self._do(item, share, cancelled)
            share(1, 1)
            self._update_summary(results, is_written)
        self._write_summary(results, is_as_written)
        return results

    def _write_summary(
        self, results: list[Result], is_written: Callable[[Path, str], bool]
    ) -> None:
        # Earlier rows are read again every time: another run may write into the same folder.
        names = {result.item.name for result in results}
        earlier = earlier_rows(self.output, names, is_written)
        write_summary(self.output, results, earlier)

    def _update_summary(
        self, results: list[Result], is_written: Callable[[Path, str], bool]
    ) -> None:
        try:
            self._write_summary(results, is_written)
        except DataError as error:  # another program may have it open; the next write may succeed
            logger.warning("%s", error)

    def _do(self, item: Item, progress: Progress, cancelled: IsCancelled) -> Result:
        """Segment one image, whatever happens."""
        start = time.perf_counter()
        try:
            result = self._segment(item, progress, cancelled)
        except UserError as error:
            result = Result(item, "failed", str(error))
        except OSError as error:
            result = Result(item, "failed", file_trouble(error, "it"))
        except Cancelled:
            raise
        except Exception as error:
            reason = "it is too large for the memory: split or crop it."
            if not out_of_memory(error):  # a defect; it must not cost a night's work either
                logger.exception("%s", item.label)
                reason = f"this should not have happened, please report it: {error}"
            result = Result(item, "failed", reason)
        return replace(result, seconds=time.perf_counter() - start)

    def _segment(self, item: Item, progress: Progress, cancelled: IsCancelled) -> Result:
        record = read_record(self.output, item.name)
        made = self.settings.made_with(self.model.card) | {"image": fingerprint(item.files)}
        if not self.again and self._is_current(item, record, made):
            measured = Measurements(**record.found)
            return Result(item, "skipped", labels=record.labels, measured=measured)
        picture = self._read(item)
        file = self.output / f"{item.name}{labels_suffix(picture)}"
        if is_corrected(record, file, made):
            return self._keep(item, file, picture)
        check_probability(self._probability_file(item), record.probability)
        labels, probability = self._predict(picture, progress, cancelled)
        if is_corrected(record, file, made):  # meanwhile
            return self._keep(item, file, picture)
        hashes = self._write_probability(item, probability, picture, record)
        measured = measure(labels, picture, self.model.card, self.settings)
        known = record.known(file)  # the file stays this one if it cannot be replaced

        def remember(beside: Path) -> None:
            written = [*known, sha256(beside)]
            remembered = Record(made, file.name, written, asdict(measured), hashes)
            write_record(self.output, item.name, remembered)

        write_labels(file, labels, picture, remember)
        return Result(item, "done", labels=file.name, measured=measured)

    def _read(self, item: Item) -> Picture:
        picture = upright(read_item(item))
        if picture.labels:
            raise ImageError("The file holds labels, not an image: choose the original image.")
        if picture.uneven:
            logger.warning("%s: %s", item.label, UNEVEN)
        if not self.settings.channel_given:
            return picture
        picture = with_colours_apart(picture)
        check_channel(self.settings.channel, axes_of(picture).channels)
        return picture

    def _is_current(self, item: Item, record: Record, made: dict[str, Any]) -> bool:
        if not record.is_current(self.output, made):
            return False
        return not self.probability or record.has_probability(self._probability_file(item))

    def _probability_file(self, item: Item) -> Path:
        return self.output / f"{item.name}{PROBABILITY_SUFFIX}"

    def _write_probability(
        self,
        item: Item,
        probability: NDArray[np.float32] | None,
        picture: Picture,
        record: Record,
    ) -> list[str]:
        def remember(hashes: list[str]) -> None:
            write_record(self.output, item.name, replace(record, probability=hashes))

        return write_probability(self._probability_file(item), probability, picture, remember)

    def _keep(self, item: Item, file: Path, picture: Picture) -> Result:
        """Measure corrected labels; blank if they do not fit the image any more."""
        try:
            measured = measure(read_labels(file, picture), picture, self.model.card, self.settings)
        except ImageError:
            measured = Measurements()
        return Result(item, "kept", labels=file.name, measured=measured)

    def _predict(
        self, picture: Picture, progress: Progress, cancelled: IsCancelled
    ) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
        """Return labels, and probabilities if wanted, shaped as the axes less the channels."""
        settings, card = self.settings, self.model.card
        scope = Scope.everything(axes_of(picture), settings.channel)
        if scope.axes.channel_axis is not None:
            check_channel(settings.channel, scope.axes.channels)
        probability = np.zeros(scope.axes.labels_shape, np.float32) if self.probability else None
        planes = {}
        for frame, prediction in predict_frames(
            picture.shown,
            scope,
            self.model,
            settings.branches,
            rgb=picture.rgb,
            device=self.device,
            progress=progress,
            cancelled=cancelled,
        ):
            planes[frame] = label_plane(
                prediction, scope, card, threshold=settings.threshold, min_size=settings.min_size
            )
            if probability is not None:
                probability[frame] = foreground(prediction.probabilities)
        apart = card.splits_objects
        labels = put_together(planes, scope, number_apart=apart, link=settings.link)
        return labels, probability


def is_corrected(record: Record, file: Path, made: dict[str, Any]) -> bool:
    """Whether labels were edited since they were written, so that they are kept.

    Raises
    ------
    ImageError
        If they were made for another image than that of `made`, or before it changed.
    """
    if not record.is_edited(file):
        return False
    if record.made and record.made["image"] != made["image"]:
        raise ImageError(
            f"{file.name} was corrected for another or a changed image: choose another output "
            "folder."
        )
    return True
