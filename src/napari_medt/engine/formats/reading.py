"""Any image file, or folder with DICOM files, by what it is."""

from __future__ import annotations

from pathlib import Path

from napari_medt.engine.formats import dicom, nifti, plain, tiff
from napari_medt.engine.formats.picture import Picture


def read_pictures(path: Path) -> list[Picture]:
    """Read a file, or every series of a DICOM folder.

    Raises
    ------
    ImageError
        If the file cannot be read, or the folder holds no DICOM image.
    """
    name = path.name.lower()
    if path.is_dir():
        return dicom.read_dicom(dicom.find_dicom(path))
    if name.endswith(dicom.SUFFIXES):
        return dicom.read_dicom([path])
    if name.endswith(nifti.SUFFIXES):
        return [nifti.read_nifti(path)]
    if name.endswith(tiff.SUFFIXES):
        return [plain.read_tiff(path)]
    return [plain.read_plain(path)]
