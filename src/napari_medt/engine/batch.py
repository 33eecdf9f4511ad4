"""Many images, one after the other: labels, a table of what was found, nothing done twice.

Labels that somebody corrected by hand are never written over, nor taken for those of another image.
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
from napari_medt.engine.files import make_folder, write_tiff, write_whole
from napari_medt.engine.formats.picture import Picture
from napari_medt.engine.inputs import PROBABILITY_SUFFIX, Item, read_item
from napari_medt.engine.labels import foreground
from napari_medt.engine.measure import measure
from napari_medt.engine.progress import IsCancelled, Progress, never, silent, steps_of
from napari_medt.engine.record import (
    Record,
    Settings,
    fingerprint,
    read_record,
    sha256,
    write_record,
)
from napari_medt.engine.region import Scope
from napari_medt.engine.results import (
    earlier_rows,
    is_as_written,
    labels_suffix,
    read_labels,
    write_labels,
)
from napari_medt.engine.segment import check_branches
from napari_medt.engine.summary import Found, Result, write_summary
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
        Folder for the results; made if it is not there.
    settings : Settings
        How images are segmented.
    probability : bool
        Whether probabilities are written too.
    again : bool
        Whether images that were done before are done again. Labels that were edited stay.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to run.
    """

    model: Model
    output: Path
    settings: Settings = field(default_factory=Settings)
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

        After every image ``summary.csv`` in the output folder tells of all of them, and of those
        that runs before wrote there.

        Parameters
        ----------
        items : sequence of Item
            From :func:`napari_medt.engine.inputs.find_items`.
        progress : callable, optional
            Called with ``(done, total)``, in which every image is
            :data:`~napari_medt.engine.progress.STEPS`.
        cancelled : callable, optional
            Asked between batches of tiles; true stops the run.

        Returns
        -------
        list of Result
            Of every item.

        Raises
        ------
        DataError, ModelError
            If nothing can be done, or the summary cannot be written in the end.
        Cancelled
            If `cancelled` said so. What was done until then is kept.
        """
        check_branches(self.settings.branches, self.model)
        results = [Result(item) for item in items]
        make_folder(self.output)
        is_written = cache(is_as_written)  # else all labels were read again after every image
        self._write_summary(results, is_written)  # what cannot be written is known before the work
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
        # Read again every time: another run may write into the same folder.
        names = {result.item.name for result in results}
        earlier = earlier_rows(self.output, names, is_written)
        write_summary(self.output, results, earlier)

    def _update_summary(
        self, results: list[Result], is_written: Callable[[Path, str], bool]
    ) -> None:
        try:
            self._write_summary(results, is_written)
        except DataError as error:  # somebody may be looking at it; there is the next time
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
            return Result(item, "skipped", labels=record.labels, found=Found(**record.found))
        picture = self._read(item)
        file = self.output / f"{item.name}{labels_suffix(picture)}"
        if is_corrected(record, file, made):
            return self._keep(item, file, picture)
        self._check_probability(item, record)
        labels, probability = self._predict(picture, progress, cancelled)
        if is_corrected(record, file, made):  # meanwhile
            return self._keep(item, file, picture)
        told = self._write_probability(item, probability, record)
        found = measure(labels, picture, self.model.card, self.settings)
        known = record.known(file)  # what it stays if it cannot be replaced

        def remember(beside: Path) -> None:
            written = [*known, sha256(beside)]
            remembered = Record(made, file.name, written, asdict(found), told)
            write_record(self.output, item.name, remembered)

        write_labels(file, labels, picture, remember)
        return Result(item, "done", labels=file.name, found=found)

    def _read(self, item: Item) -> Picture:
        picture = upright(read_item(item))
        if picture.labels:
            raise ImageError("The file holds labels, not an image: choose the original image.")
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

    def _check_probability(self, item: Item, record: Record) -> None:
        file = self._probability_file(item)
        if file.exists() and sha256(file) not in record.probability:
            raise ImageError(
                f"{file.name} in the output folder was not made by a run before, or was changed: "
                "move it away, or choose another output folder."
            )

    def _write_probability(
        self, item: Item, probability: NDArray[np.float32], record: Record
    ) -> list[str]:
        """Write probabilities, if they are wanted, and return their SHA-256.

        If not, those of a run before are removed: they would be taken for those of the new labels.
        """
        file = self._probability_file(item)
        if not self.probability:
            file.unlink(missing_ok=True)
            return []
        before = sha256(file) if file.exists() else ""

        def write(beside: Path) -> None:
            write_tiff(beside, probability)
            written = [before, sha256(beside)]
            write_record(self.output, item.name, replace(record, probability=written))

        write_whole(file, write)
        return [sha256(file)]

    def _keep(self, item: Item, file: Path, picture: Picture) -> Result:
        """Measure labels that somebody corrected; blank if they do not fit the image any more."""
        try:
            found = measure(read_labels(file, picture), picture, self.model.card, self.settings)
        except ImageError:
            found = Found()
        return Result(item, "kept", labels=file.name, found=found)

    def _predict(
        self, picture: Picture, progress: Progress, cancelled: IsCancelled
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Labels, and if they are wanted probabilities, shaped as the axes less the channels."""
        settings, card = self.settings, self.model.card
        scope = Scope.everything(axes_of(picture), settings.channel)
        if scope.axes.channel_axis is not None:
            check_channel(settings.channel, scope.axes.channels)
        shape = scope.axes.labels_shape if self.probability else (0,)
        probability, planes = np.zeros(shape, np.float32), {}
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
            if self.probability:
                probability[frame] = foreground(prediction.probabilities)
        apart = card.splits_objects
        labels = put_together(planes, scope, number_apart=apart, link=settings.link)
        return labels, probability


def is_corrected(record: Record, file: Path, made: dict[str, Any]) -> bool:
    """Whether labels were edited, and are to be kept.

    Raises
    ------
    ImageError
        If that was for an image other than `made` tells of, or before it changed.
    """
    if not record.is_edited(file):
        return False
    if record.made and record.made["image"] != made["image"]:
        raise ImageError(
            f"{file.name} was corrected for another or a changed image: choose another output "
            "folder."
        )
    return True
