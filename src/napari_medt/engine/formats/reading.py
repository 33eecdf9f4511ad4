"""Any image file, or folder with DICOM files, by what it is."""

from __future__ import annotations

from pathlib import Path

from napari_medt.engine.formats import dicom, nifti, plain, tiff
from napari_medt.engine.formats.picture import Picture
from napari_medt.errors import ImageError

DICOM_SUFFIXES = (".dcm", ".dicom")


def read_pictures(path: Path) -> list[Picture]:
    """Read a file, or every series of a DICOM folder.

    Raises
    ------
    ImageError
        With one sentence for the user.
    """
    name = path.name.lower()
    if path.is_dir():
        return dicom.read_dicom(dicom.find_dicom(path))
    if name.endswith(DICOM_SUFFIXES):
        return dicom.read_dicom([path])
    if name.endswith(nifti.SUFFIXES):
        return [nifti.read_nifti(path)]
    if name.endswith(tiff.SUFFIXES):
        return [plain.read_tiff(path)]
    return [plain.read_plain(path)]


def read_any(path: Path) -> Picture:
    """Read the one image of a file or of a DICOM folder.

    Raises
    ------
    ImageError
        With one sentence for the user, also if a folder holds several series.
    """
    pictures = read_pictures(path)
    if len(pictures) > 1:
        raise ImageError(
            f"{path.name} holds {len(pictures)} image series: put each in a folder of its own."
        )
    return pictures[0]
