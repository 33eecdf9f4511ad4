"""What there is to segment in files and folders: one item per image, volume or DICOM series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medt.engine.formats import dicom, nifti
from napari_medt.engine.formats.opening import stem
from napari_medt.engine.formats.picture import Picture
from napari_medt.engine.formats.plain import IMAGE_SUFFIXES
from napari_medt.engine.formats.reading import read_pictures
from napari_medt.errors import DataError

# Not whatever follows a dot: DICOM files are often named by numbers with dots.
SUFFIXES = (*nifti.SUFFIXES, *IMAGE_SUFFIXES, *dicom.SUFFIXES)
# What a batch writes is never taken for an image, even if it lies among them.
PLAIN_LABELS_SUFFIX = ".labels.tif"
PLACED_LABELS_SUFFIX = ".labels.nii.gz"  # of images that know how they lie in the patient
PROBABILITY_SUFFIX = ".probability.tif"
RESULTS = (PLAIN_LABELS_SUFFIX, PLACED_LABELS_SUFFIX, PROBABILITY_SUFFIX)


@dataclass(frozen=True)
class Item:
    """One image of a batch.

    Attributes
    ----------
    name : str
        What its results are named after.
    files : tuple of Path
        One file, or the slices of a DICOM series.
    """

    name: str
    files: tuple[Path, ...]

    @property
    def label(self) -> str:
        """What to call it when speaking to the user."""
        return self.files[0].name if len(self.files) == 1 else self.name


def find_items(paths: Sequence[Path]) -> list[Item]:
    """List what there is to segment.

    In a folder these are its image files and the DICOM series in it or below it. DICOM files of
    one folder and series are one item.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders. A file need not be there: reading it will say so.

    Raises
    ------
    DataError
        If there is nothing to do, or results of two items would have the same name.
    """
    items = [item for folder in paths if folder.is_dir() for item in _items_in(folder)]
    files = [path for path in paths if not path.is_dir()]
    items += [_plain_item(path) for path in files if not is_dicom_file(path)]
    slices = [path for path in files if is_dicom_file(path)]
    for parent in sorted({path.parent for path in slices}):
        items += _series_items([path for path in slices if path.parent == parent], parent)
    items = list(dict.fromkeys(items))
    if not items:
        raise DataError(f"There are no images in {', '.join(map(str, paths))}.")
    _check_names(items)
    return items


def read_item(item: Item) -> Picture:
    """Read the image of an item.

    Raises
    ------
    ImageError
        If a file is missing or damaged, or of a kind that cannot be read.
    """
    if is_dicom_file(item.files[0]):
        return dicom.read_dicom(item.files)[0]
    return read_pictures(item.files[0])[0]


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM by its suffix, or if that is not known by its first bytes."""
    name = path.name.lower()
    if name.endswith(dicom.SUFFIXES):
        return True
    return not name.endswith(SUFFIXES) and dicom.is_dicom(path)


def _items_in(folder: Path) -> list[Item]:
    try:
        files = sorted(path for path in folder.iterdir() if _is_image(path))
        slices = {path for path in (*files, *dicom.find_dicom(folder)) if is_dicom_file(path)}
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from None
    plain = [_plain_item(path) for path in files if path not in slices]
    return [*plain, *_series_items(sorted(slices), folder)]


def _is_image(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(SUFFIXES) and not name.endswith(RESULTS) and not name.startswith(".")


def _plain_item(path: Path) -> Item:
    return Item(stem(path, SUFFIXES), (path,))


def _series_items(files: list[Path], root: Path) -> Iterator[Item]:
    """Name series after their folders below `root`, and their file where those are not unique."""
    series = dicom.find_series(files)
    volumes = Counter(slices[0].parent for slices in series if len(slices) > 1)
    for slices in series:
        first = slices[0]
        names = list(first.parent.relative_to(root).parts)
        if len(slices) > 1:
            names = names or [root.resolve().name]
        if len(slices) == 1 or volumes[first.parent] > 1:
            names.append(stem(first, SUFFIXES))
        yield Item("-".join(names), tuple(slices))


def _check_names(items: list[Item]) -> None:
    # Many file systems take names for the same that differ in case only.
    stem, count = Counter(item.name.casefold() for item in items).most_common(1)[0]
    if count > 1:
        name = next(item.name for item in items if item.name.casefold() == stem)
        raise DataError(
            f"{count} inputs are named {name!r}, so their results would overwrite each other: "
            "segment them into different folders."
        )
