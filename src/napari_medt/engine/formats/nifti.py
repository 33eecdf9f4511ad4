"""NIfTI in and out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt2axcodes,
    ornt_transform,
)
from numpy.typing import NDArray

from napari_medt.engine.formats.opening import opening, stem
from napari_medt.engine.formats.picture import (
    ALIGNED,
    NOWHERE,
    SCANNER,
    Affine,
    Picture,
    are_perpendicular,
    split_affine,
    volume,
    without_units,
)
from napari_medt.errors import ImageError

SUFFIXES = (".nii", ".nii.gz")
AXES = "xyztc"  # as NIfTI stores them
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI counts to the right and front; and back again
# Where columns, rows and slices lead, so that an image is seen as a radiologist expects it.
AXIAL, CORONAL, SAGITTAL = "LPS", "LIP", "PIL"
VIEWS = {"S": AXIAL, "I": AXIAL, "A": CORONAL, "P": CORONAL, "L": SAGITTAL, "R": SAGITTAL}
COARSE = 2  # slices were taken along an axis that is this many times coarser than the others
TIME_UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
SPACE_UNITS = {"meter": 1e3, "micron": 1e-3}
# Description in our files of pixels of unknown size. Others that leave the unit open mean mm.
IN_PIXELS = b"napari-medt, in pixels"
LABELS = 1002  # NIFTI_INTENT_LABEL: the values stand for something


def read_nifti(path: Path, view: str = "") -> Picture:
    """Read a NIfTI file: slices as a radiologist sees them, in the plane they were taken in.

    Only flips and swaps axes, so no value changes. A file without a unit of length is taken to be
    in mm, unless :func:`write_nifti` wrote it.

    Parameters
    ----------
    path : Path
        The file.
    view : str
        Where columns, rows and slices are to lead instead; see :func:`view_of`.

    Raises
    ------
    ImageError
        If it is missing, damaged, not a NIfTI file, or of complex numbers.
    """
    with opening(path, "a NIfTI file"):
        image: Any = nibabel.load(path)
        values = _values(image, path.name)
        space, time = image.header.get_xyzt_units()
        intent = int(image.header["intent_code"])
        codes = (int(image.header[name]) for name in ("sform_code", "qform_code"))
        code = next(filter(None, codes), ALIGNED)
        in_pixels = space == "unknown" and image.header["descrip"].item() == IN_PIXELS
    colours = image.get_data_dtype().names is not None
    affine = image.affine.copy()
    affine[:3] *= SPACE_UNITS.get(space, 1.0)
    name = stem(path, SUFFIXES)
    named = name.lower().endswith(".labels")  # by a folder run, perhaps saved again elsewhere
    labels = (named or intent == LABELS) and values.dtype.kind in "iu" and not colours
    about = {"time_step": _time_step(image, time), "name": name, "labels": labels}
    try:
        if in_pixels:
            picture = _place(values, colours, affine, view or AXIAL, space=NOWHERE, **about)
            return without_units(picture, "zyx")
        return _place(values, colours, affine, view, space=code, **about)
    except ImageError:
        raise
    except ValueError:
        raise ImageError(
            f"{path.name} does not say where its voxels lie: repair the affine in its header."
        ) from None


def view_of(affine: Affine) -> str:
    """Anatomical codes of columns, rows and slices, by their way to left, back and head."""
    return _codes(TO_LPS @ affine)


def write_nifti(
    path: Path,
    labels: NDArray,
    affine: Affine,
    orientation: str = "",
    time_step: float = 0.0,
    *,
    space: int = SCANNER,
    in_pixels: bool = False,
) -> None:
    """Write labels as NIfTI.

    Parameters
    ----------
    path : Path
        Ends in ``.nii`` or ``.nii.gz``.
    labels : array of int
        ``(H, W)``, ``(Z, H, W)`` or ``(T, Z, H, W)``.
    affine : array of float
        ``(4, 4)``: from column, row and slice to the patient's left, back and head in mm.
    orientation : str
        Order and direction of the axes in the file, such as ``"RAS"``; empty for columns, rows,
        slices.
    time_step : float
        Seconds between times; 0 if unknown.
    space : int
        See :class:`~napari_medt.engine.formats.picture.Patient`.
    in_pixels : bool
        Whether the affine is in pixels of unknown size instead of mm.

    Raises
    ------
    ImageError
        If the labels have more axes.
    """
    if not 2 <= labels.ndim <= 4:
        raise ImageError(
            f"Labels with {labels.ndim} axes cannot be written as NIfTI: keep time, slices, rows "
            "and columns."
        )
    values = labels.T.reshape(*labels.shape[::-1], *(1,) * (3 - labels.ndim))
    affine = TO_LPS @ affine
    if orientation:
        values, affine = _reorient(values, affine, orientation)
    image = nibabel.Nifti1Image(values.astype(_label_type(labels)), affine)
    code = space or ALIGNED  # by which the file places voxels at all
    image.set_sform(affine, code=code)
    # It has no way to say that axes are askew, as those of a tilted gantry.
    image.set_qform(affine, code=code if are_perpendicular(affine[:3, :3]) else 0)
    image.header.set_xyzt_units("unknown" if in_pixels else "mm", "sec")
    if in_pixels:
        image.header["descrip"] = IN_PIXELS
    image.header.set_intent(LABELS)
    if time_step and values.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], time_step))
    data = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    path.write_bytes(data)


def _label_type(labels: NDArray) -> Any:
    """The smallest type that every reader knows and that holds the labels."""
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0:
        return np.int32
    return next(t for t in (np.uint8, np.uint16, np.int32, np.int64) if high <= np.iinfo(t).max)


def _values(image: Any, name: str) -> NDArray:
    """Real values ``(x, y, z, ...)``; colours are a last axis."""
    values = np.asanyarray(image.dataobj)
    if values.dtype.names:
        return np.stack([values[channel] for channel in values.dtype.names], axis=-1)
    if values.dtype.kind == "c":
        raise ImageError(f"{name} holds complex numbers: save their magnitude and open that.")
    if values.dtype == np.float64:  # what nibabel makes of scaled integers
        return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _time_step(image: Any, unit: str) -> float:
    """Seconds between times; 0 if unknown."""
    zooms = image.header.get_zooms()
    return float(zooms[3]) * TIME_UNITS.get(unit, 0.0) if len(zooms) > 3 else 0.0


def _codes(affine: Affine) -> str:
    return "".join(ornt2axcodes(io_orientation(affine)))


def _place(values: NDArray, colours: bool, affine: Affine, view: str, **about: Any) -> Picture:
    """Orient the stored array as asked for, else so that it is seen right side up."""
    split_affine(affine)  # refuses what has no orientation
    values, axes = _name_axes(values, colours)
    stored = _codes(affine)
    view = view or _view(values.shape, affine, stored)
    values, affine = _reorient(values, affine, view)
    order = [axes.index(axis) for axis in sorted(axes, key="ctzyxs".index)]
    return volume(
        values.transpose(order),
        "".join(axes[axis] for axis in order),
        TO_LPS @ affine,
        orientation=stored,
        **about,
    )


def _name_axes(values: NDArray, colours: bool) -> tuple[NDArray, str]:
    """Give three axes to planes, and drop single times and channels."""
    placed = values.ndim - colours
    values = values.reshape(*values.shape[:placed], *(1,) * (3 - placed), *values.shape[placed:])
    axes = AXES[: max(3, placed)] + ("s" if colours else "")
    if len(axes) != values.ndim:
        raise ImageError(f"NIfTI images with {placed} axes cannot be read: split the file first.")
    single = tuple(axes.index(axis) for axis in "tc" if axis in axes)
    single = tuple(axis for axis in single if values.shape[axis] == 1)
    return values.squeeze(single), "".join(a for i, a in enumerate(axes) if i not in single)


def _view(shape: tuple[int, ...], affine: Affine, stored: str) -> str:
    """Choose the view: across the axis that has one slice or coarse ones, else axial."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    singles = [axis for axis in range(3) if shape[axis] == 1]
    if len(singles) == 1:
        return VIEWS[stored[singles[0]]]
    *_, next_coarsest, coarsest = np.argsort(lengths)
    if lengths[coarsest] >= COARSE * lengths[next_coarsest]:
        return VIEWS[stored[coarsest]]
    return AXIAL


def _reorient(values: NDArray, affine: Affine, codes: str) -> tuple[NDArray, Affine]:
    """Flip and swap the first three axes until they lead where `codes` say."""
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    return apply_orientation(values, turn), affine @ inv_ornt_aff(turn, values.shape[:3])
