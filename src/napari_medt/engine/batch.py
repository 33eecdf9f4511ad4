"""Many images, one after the other: labels, a table of what was found, nothing done twice.

Labels that somebody corrected by hand are never written over, nor taken for those of another image.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import Axes, check_channel, guess_axes
from napari_medt.engine.ellipse import circumference
from napari_medt.engine.files import make_folder, write_tiff, write_whole
from napari_medt.engine.formats.nifti import read_nifti, view_of, write_nifti
from napari_medt.engine.formats.picture import COLOUR, Picture
from napari_medt.engine.formats.reading import read_any
from napari_medt.engine.inputs import PROBABILITY_SUFFIX, Item, read_item
from napari_medt.engine.labels import foreground
from napari_medt.engine.progress import IsCancelled, Progress, steps_of
from napari_medt.engine.record import (
    Record,
    Settings,
    fingerprint,
    read_record,
    sha256,
    write_record,
)
from napari_medt.engine.region import Scope
from napari_medt.engine.segment import check_branches
from napari_medt.engine.summary import Found, Result, write_summary
from napari_medt.engine.volume import label_plane, predict_frames, put_together
from napari_medt.errors import Cancelled, DataError, ImageError, UserError, out_of_memory
from napari_medt.models.card import ModelCard
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
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> list[Result]:
        """Segment images. A failure of one does not stop the others.

        After every image ``summary.csv`` in the output folder tells of all of them.

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
        write_summary(self.output, results)  # what cannot be written is known before the work
        for number, item in enumerate(items):
            if cancelled is not None and cancelled():
                raise Cancelled
            share = steps_of(progress, number, len(items))
            results[number] = self._do(item, share, cancelled)
            share(1, 1)
            self._update_summary(results)
        write_summary(self.output, results)
        return results

    def _update_summary(self, results: list[Result]) -> None:
        try:
            write_summary(self.output, results)
        except DataError as error:  # somebody may be looking at it; there is the next time
            logger.warning("%s", error)

    def _do(self, item: Item, progress: Progress, cancelled: IsCancelled | None) -> Result:
        """Segment one image, whatever happens."""
        start = time.perf_counter()
        try:
            result = self._segment(item, progress, cancelled)
        except UserError as error:
            result = Result(item, "failed", str(error))
        except OSError as error:
            reason = f"it cannot be read or written ({error.strerror or error})."
            result = Result(item, "failed", reason)
        except Cancelled:
            raise
        except Exception as error:
            reason = "it is too large for the memory: split or crop it."
            if not out_of_memory(error):  # a defect; it must not cost a night's work either
                logger.exception("%s", item.label)
                reason = f"this should not have happened, please report it: {error}"
            result = Result(item, "failed", reason)
        return replace(result, seconds=time.perf_counter() - start)

    def _segment(self, item: Item, progress: Progress, cancelled: IsCancelled | None) -> Result:
        record = read_record(self.output, item.name)
        made = self.settings.made_with(self.model.card) | {"image": fingerprint(item.files)}
        if not self.again and self._is_current(item, record, made):
            return Result(item, "skipped", labels=record.labels, found=Found(**record.found))
        picture = upright(read_item(item))
        file = self.output / f"{item.name}.labels{labels_suffix(picture)}"
        if is_corrected(record, file, made):
            return self._keep(item, file, picture)
        labels, probability = self._predict(picture, progress, cancelled)
        if is_corrected(record, file, made):  # meanwhile
            return self._keep(item, file, picture)
        told = self._write_probability(item, probability)
        found = measure(labels, picture, self.model.card, self.settings)
        known = record.known(file)  # what it stays if it cannot be replaced

        def remember(beside: Path) -> None:
            written = [*known, sha256(beside)]
            remembered = Record(made, file.name, written, asdict(found), told)
            write_record(self.output, item.name, remembered)

        write_labels(file, labels, picture, remember)
        return Result(item, "done", labels=file.name, found=found)

    def _is_current(self, item: Item, record: Record, made: dict[str, Any]) -> bool:
        if not record.is_current(self.output, made):
            return False
        return not self.probability or record.has_probability(self._probability_file(item))

    def _probability_file(self, item: Item) -> Path:
        return self.output / f"{item.name}{PROBABILITY_SUFFIX}"

    def _write_probability(self, item: Item, probability: NDArray[np.float32]) -> str:
        """Write probabilities, if they are wanted, and return their SHA-256.

        If not, those of a run before are removed: they would be taken for those of the new labels.
        """
        file = self._probability_file(item)
        if not self.probability:
            file.unlink(missing_ok=True)
            return ""
        write_tiff(file, probability)
        return sha256(file)

    def _keep(self, item: Item, file: Path, picture: Picture) -> Result:
        """Measure labels that somebody corrected; blank if they do not fit the image any more."""
        try:
            found = measure(read_labels(file, picture), picture, self.model.card, self.settings)
        except ImageError:
            found = Found()
        return Result(item, "kept", labels=file.name, found=found)

    def _predict(
        self, picture: Picture, progress: Progress, cancelled: IsCancelled | None
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
    if record.made.get("image", made["image"]) != made["image"]:
        raise ImageError(
            f"{file.name} was corrected for another or a changed image: choose another output "
            "folder."
        )
    return True


def upright(picture: Picture) -> Picture:
    """Put rows and columns behind the other axes, as :mod:`napari_medt.engine.axes` wants them.

    Raises
    ------
    ImageError
        If there are none.
    """
    placed = picture.axes.removesuffix(COLOUR)
    if not {"y", "x"} <= set(placed):
        raise ImageError("The image has a single axis: an image of rows and columns is needed.")
    order = sorted(range(len(placed)), key=lambda axis: "yx".find(placed[axis]))
    behind = [len(placed)] * picture.rgb
    return replace(
        picture,
        array=picture.array.transpose([*order, *behind]),
        axes="".join(placed[axis] for axis in order) + COLOUR * picture.rgb,
        scale=tuple(picture.scale[axis] for axis in order),
        translate=tuple(picture.translate[axis] for axis in order),
        units=tuple(picture.units[axis] for axis in order),
    )


def read_labels(path: Path, image: Picture) -> NDArray:
    """Read labels that somebody may have saved again, as they lie on their image.

    Raises
    ------
    ImageError
        With one sentence for the user.
    """
    if image.affine is not None:  # NIfTI, which is seen in another plane than slices may be taken
        return upright(read_nifti(path, view_of(image.affine))).array
    labels = upright(read_any(path))
    # Labels have no colours: these are slices that a program, such as napari, took for some.
    return np.moveaxis(labels.array, -1, -3) if labels.rgb else labels.array


def axes_of(picture: Picture) -> Axes:
    """Guess what the axes of an upright picture are, as the widget does for a layer."""
    letters = picture.axes.removesuffix(COLOUR)
    # That rows and columns are known says nothing about the others.
    names = ["" if letter in "yx" else letter for letter in letters]
    channels = None if picture.rgb else -1
    return guess_axes(picture.array.shape[: len(letters)], names, channel_axis=channels)


def measure(labels: NDArray, picture: Picture, card: ModelCard, settings: Settings) -> Found:
    """Measure the labels of an image.

    Parameters
    ----------
    labels : array of int
        Shaped as the image's axes less the channels.
    picture : Picture
        The image, upright.
    card : ModelCard
        Says whether labels are objects, and what else is to be reported.
    settings : Settings
        How the image was segmented, and perhaps what the side of a pixel is.

    Raises
    ------
    ImageError
        If the labels have another shape.
    """
    axes, sizes = axes_of(picture), dict(picture.mm)
    if labels.shape != axes.labels_shape:
        raise ImageError("The labels have another shape than the image.")
    if settings.mm_per_pixel is not None:
        sizes |= dict.fromkeys("yx", settings.mm_per_pixel)
    mask = labels > 0
    pixels = int(np.count_nonzero(mask))
    letters = [picture.axes[axis] for axis in axes.kept]
    size = math.prod(sizes.get(letter, math.nan) for letter in letters)
    extent = None if math.isnan(size) else pixels * size
    found = Found(
        taken_for=axes.describe(rgb=picture.rgb, channel=settings.channel),
        objects=int(np.count_nonzero(np.unique(labels))) if card.splits_objects else None,
        area_percent=100 * pixels / labels.size,
        area_pixels=pixels,
        area_mm2=extent if letters == ["y", "x"] else None,
        volume_mm3=extent if letters == ["z", "y", "x"] else None,
    )
    if card.report != "circumference" or labels.ndim > 2:
        return found
    length = circumference(mask, card.report_scale)
    if length is None or not is_square(sizes):
        return replace(found, circumference_pixels=length)
    return replace(found, circumference_mm=length * sizes["y"])


def is_square(sizes: dict[str, float]) -> bool:
    """Whether pixels have a known size and equal sides."""
    return {"y", "x"} <= set(sizes) and math.isclose(sizes["y"], sizes["x"], rel_tol=1e-3)


def labels_suffix(picture: Picture) -> str:
    """Labels of an image that knows how it lies in the patient keep that, as NIfTI."""
    return ".tif" if picture.patient is None else ".nii.gz"


def write_labels(
    path: Path, labels: NDArray[np.int32], picture: Picture, remember: Callable[[Path], None]
) -> None:
    """Write labels, whole or not at all.

    Parameters
    ----------
    path : Path
        Where to.
    labels : array of int32
        Of `picture`.
    picture : Picture
        The image, upright.
    remember : callable
        Called with the finished file before it is put in its place.
    """

    def write(beside: Path) -> None:
        affine, patient = picture.affine, picture.patient
        if patient is None or affine is None:
            kind = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
            write_tiff(beside, labels.astype(kind))
        else:
            lonely = "t" in picture.axes and "z" not in picture.axes
            volumes = labels[:, np.newaxis] if lonely else labels  # times of a single slice
            write_nifti(beside, volumes, affine, patient.orientation)
        remember(beside)

    write_whole(path, write)
