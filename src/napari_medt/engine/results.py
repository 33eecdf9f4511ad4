"""Results of an image on disk: probabilities, and labels, which are read again after an edit."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import axes_of, upright
from napari_medt.engine.files import write_tiff, write_whole
from napari_medt.engine.formats.nifti import read_nifti, view_of, write_nifti
from napari_medt.engine.formats.picture import Picture
from napari_medt.engine.formats.plain import read_tiff
from napari_medt.engine.inputs import PLACED_LABELS_SUFFIX, PLAIN_LABELS_SUFFIX
from napari_medt.engine.record import read_record, sha256
from napari_medt.engine.summary import SUMMARY_FILE
from napari_medt.errors import DataError, ImageError


def labels_suffix(picture: Picture) -> str:
    """Suffix of a label file: NIfTI if the image's place in the patient is known, else TIFF."""
    return PLAIN_LABELS_SUFFIX if picture.patient is None else PLACED_LABELS_SUFFIX


def write_labels(
    path: Path, labels: NDArray[np.int32], picture: Picture, remember: Callable[[Path], None]
) -> None:
    """Write labels, whole or not at all.

    Parameters
    ----------
    path : Path
        Where to.
    labels : array of int32
        Shaped as the picture's axes less the channels.
    picture : Picture
        The image, upright.
    remember : callable
        Called with the finished file before it is put in its place.
    """

    def write(beside: Path) -> None:
        affine, patient = picture.affine, picture.patient
        if patient is None or affine is None:
            kind = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
            write_aligned(beside, labels.astype(kind), picture)
        else:
            single_slice = "t" in picture.axes and "z" not in picture.axes
            volumes = labels[:, np.newaxis] if single_slice else labels
            orientation, step = patient.orientation, picture.time_step
            write_nifti(beside, volumes, affine, orientation, step, space=patient.space)
        remember(beside)

    write_whole(path, write)


def write_aligned(path: Path, values: NDArray, picture: Picture) -> None:
    """Write labels, or probabilities, so that napari shows them beside the image."""
    axes = axes_of(picture)
    within, letters = axes.channels_within, ""
    if within is not None:  # in words, too: other programs would take it for anything
        letters = f"{picture.axes[:within]}c{picture.axes[within + 1 :]}"
    write_tiff(path, axes.aligned(values), letters)


def check_probability(file: Path, written: Collection[str]) -> None:
    """Refuse to replace a probability file that is not as a run wrote it.

    Parameters
    ----------
    file : Path
        Where probabilities will be written, or removed.
    written : collection of str
        See :class:`napari_medt.engine.record.Record`.

    Raises
    ------
    ImageError
        If the file is there and has another SHA-256 than those.
    """
    if file.exists() and sha256(file) not in written:
        raise ImageError(
            f"{file.name} in the output folder was not made by a run before, or was changed: "
            "move it away, or choose another output folder."
        )


def write_probability(
    file: Path,
    probability: NDArray[np.float32] | None,
    picture: Picture,
    remember: Callable[[list[str]], None],
) -> list[str]:
    """Write probabilities, whole or not at all.

    Parameters
    ----------
    file : Path
        Where to.
    probability : array of float32 or None
        Shaped as the labels. None removes the file of an earlier run, which would be taken for that
        of the new labels.
    picture : Picture
        The image, upright.
    remember : callable
        Called with the SHA-256 of the old and the new file before the new one is put in its place.

    Returns
    -------
    list of str
        SHA-256 of the file that was written, if any.
    """
    if probability is None:
        file.unlink(missing_ok=True)
        return []
    before = sha256(file) if file.exists() else ""
    written: list[str] = []

    def write(beside: Path) -> None:
        write_aligned(beside, probability, picture)
        written.append(sha256(beside))
        remember([before, *written])

    write_whole(file, write)
    return written


def read_labels(path: Path, image: Picture) -> NDArray:
    """Read labels that may have been saved again by another program, aligned with their image.

    Raises
    ------
    ImageError
        If the file is missing or damaged.
    """
    if image.affine is not None:  # NIfTI: read in the image's orientation, not its default one
        return upright(read_nifti(path, view_of(image.affine))).array
    labels = upright(read_tiff(path, numbers=True))
    # Labels have no colours: these are slices that a program, such as napari, took for colours.
    values = np.moveaxis(labels.array, -1, -3) if labels.rgb else labels.array
    axes = axes_of(image)
    within = axes.channels_within
    if within is None or values.ndim != len(axes.shape) or values.shape[within] != 1:
        return values
    return values.squeeze(within)


def is_as_written(folder: Path, labels: str) -> bool:
    """Whether a label file in a folder is as a run wrote it; reads the whole file."""
    record = read_record(folder, item_name(labels))
    return bool(labels) and record.labels == labels and bool(record.known(folder / labels))


def earlier_rows(
    folder: Path,
    names: Collection[str],
    is_written: Callable[[Path, str], bool],
) -> list[dict[str, str]]:
    """Rows of a folder's table that a run keeps: those of labels that are as they were written.

    Parameters
    ----------
    folder : Path
        With ``summary.csv``, if there was a run before.
    names : collection of str
        Items of the new run, which writes their rows itself.
    is_written : callable
        :func:`is_as_written`, perhaps with a cache.

    Raises
    ------
    DataError
        If there is such a file, but it cannot be read or is not our table, so that it must not be
        overwritten.
    """
    path = folder / SUMMARY_FILE
    try:
        # The byte-order mark would be part of the first name.
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): close it if another program has it open, "
            "or choose another output folder."
        ) from None
    head = text.partition("\n")[0]
    # In many countries Excel saves semicolons.
    table = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in head else ",")
    try:
        if not {"image", "status", "labels"} <= set(table.fieldnames or ()):
            raise csv.Error
        rows = [row for row in table if item_name(row["labels"] or "") not in names]
        return [row for row in rows if is_written(folder, row["labels"] or "")]
    except csv.Error:
        raise DataError(
            f"{path} is not a table of a run before: move it away, or choose another output folder."
        ) from None


def item_name(labels: str) -> str:
    """Name of the item that a label file belongs to."""
    return labels.removesuffix(PLAIN_LABELS_SUFFIX).removesuffix(PLACED_LABELS_SUFFIX)
