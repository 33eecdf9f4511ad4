"""The labels of an image on disk: written beside it, and read again after somebody changed them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import upright
from napari_medt.engine.files import write_tiff, write_whole
from napari_medt.engine.formats.nifti import read_nifti, view_of, write_nifti
from napari_medt.engine.formats.picture import Picture
from napari_medt.engine.formats.plain import read_tiff
from napari_medt.engine.inputs import PLACED_LABELS_SUFFIX, PLAIN_LABELS_SUFFIX
from napari_medt.engine.record import read_record
from napari_medt.engine.summary import SUMMARY_FILE
from napari_medt.errors import DataError


def labels_suffix(picture: Picture) -> str:
    """Labels of an image that knows how it lies in the patient keep that, as NIfTI."""
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
            write_nifti(beside, volumes, affine, patient.orientation, picture.time_step)
        remember(beside)

    write_whole(path, write)


def read_labels(path: Path, image: Picture) -> NDArray:
    """Read labels that somebody may have saved again, as they lie on their image.

    Raises
    ------
    ImageError
        With one sentence for the user.
    """
    if image.affine is not None:  # NIfTI, which is seen in another plane than slices may be taken
        return upright(read_nifti(path, view_of(image.affine))).array
    labels = upright(read_tiff(path, numbers=True))
    # Labels have no colours: these are slices that a program, such as napari, took for some.
    return np.moveaxis(labels.array, -1, -3) if labels.rgb else labels.array


def is_as_written(folder: Path, labels: str) -> bool:
    """Whether a label file of a folder is as a run wrote it; reads all of it."""
    record = read_record(folder, item_name(labels))
    return bool(labels) and record.labels == labels and bool(record.known(folder / labels))


def earlier_rows(
    folder: Path,
    names: Collection[str],
    is_written: Callable[[Path, str], bool] = is_as_written,
) -> list[dict[str, str]]:
    """Rows of a folder's table that a run is to keep: of labels that are as they were written.

    Parameters
    ----------
    folder : Path
        With ``summary.csv``, if there was a run before.
    names : collection of str
        Of the items of the new run, which tells of them itself.
    is_written : callable
        :func:`is_as_written`, or what remembers its answers.

    Raises
    ------
    DataError
        If there is such a file that cannot be read or is not a table of ours: it is not to be
        written over.
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
    """Name of the item that a label file is of."""
    return labels.removesuffix(PLAIN_LABELS_SUFFIX).removesuffix(PLACED_LABELS_SUFFIX)
