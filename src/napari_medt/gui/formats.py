"""DICOM and NIfTI files as napari layers, and Labels layers as NIfTI files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Layer
from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from napari_medt.engine.axes import ROLES
from napari_medt.engine.files import write_whole
from napari_medt.engine.formats import dicom
from napari_medt.engine.formats.nifti import SUFFIXES, write_nifti
from napari_medt.engine.formats.picture import (
    INVERTED,
    NOWHERE,
    PATIENT,
    UNEVEN,
    Patient,
    Picture,
    placement,
)
from napari_medt.engine.formats.reading import read_pictures
from napari_medt.errors import ImageError, UserError, file_trouble
from napari_medt.gui.layers import mm_in
from napari_medt.gui.masks import METADATA
from napari_medt.gui.samples import LayerData

VECTORS = ("scale", "translate", "units", "axis_labels")  # of a layer, one value for each axis
Reader = Callable[[str | Sequence[str]], list[LayerData]]


class SaveError(Exception):
    """Labels that cannot be saved. No ValueError: napari takes that for a writer it has not got."""


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a reader for DICOM and NIfTI, or None for a folder without DICOM files."""
    if isinstance(path, str) and Path(path).is_dir() and not dicom.is_dicom_folder(Path(path)):
        return None
    return read


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read a file or folder, or several DICOM files that were opened as a stack.

    Raises
    ------
    ImageError
        If a file is missing, damaged or of a kind that cannot be read.
    """
    if isinstance(path, str):
        pictures = read_pictures(Path(path))
    elif all(name.lower().endswith(SUFFIXES) for name in path):
        pictures = [picture for name in path for picture in read_pictures(Path(name))]
    else:
        pictures = dicom.read_dicom([Path(name) for name in path])
    for picture in pictures:
        if picture.uneven:
            show_warning(f"{picture.name}: {UNEVEN}")
    return [layer_data(picture) for picture in pictures]


def layer_data(picture: Picture) -> LayerData:
    """Describe a picture as a napari layer."""
    options: dict[str, Any] = {
        "name": picture.name,
        "scale": picture.scale,
        "translate": picture.translate,
        "units": picture.units,
        "axis_labels": tuple(picture.axes.removesuffix("s")),
        "metadata": {},
    }
    if picture.patient is not None:
        options["metadata"][PATIENT] = picture.patient.to_dict()
    if picture.labels:
        # To be painted, and saved again under their name: held apart from the file, in a type that
        # more objects fit in.
        kind = np.int32 if np.can_cast(picture.array.dtype, np.int32) else np.int64
        return np.array(picture.array, kind, order="C"), options, "labels"
    options["rgb"] = picture.rgb
    if picture.window is not None:
        options["contrast_limits"] = picture.window
    if picture.inverted:
        options["colormap"] = "gray_r"
        options["metadata"][INVERTED] = True
    return picture.array, options, "image"


def write_labels(path: str, labels: Any, options: dict[str, Any]) -> list[str]:
    """Write a Labels layer as NIfTI, where its image lies in the patient.

    Labels drawn in a new layer know nothing of the patient: they take that from the images in the
    viewer. Returns the file's name, with a suffix of NIfTI files.

    Raises
    ------
    SaveError
        If the labels do not fit into NIfTI, or the file cannot be written.
    """
    try:
        file = nifti_file(Path(path))
        write_layer(file, labels, options)
    except UserError as error:
        raise SaveError(str(error)) from None
    except OSError as error:
        sentence = file_trouble(error, path, "choose another folder or name")
        raise SaveError(sentence) from None
    return [str(file)]


def nifti_file(path: Path) -> Path:
    """Add ``.nii.gz`` where a name has no suffix of NIfTI files, as in *scan - mask*.

    Raises
    ------
    ImageError
        If that is the name of another file, which nobody was asked about.
    """
    if path.name.lower().endswith(SUFFIXES):
        return path
    file = path.with_name(f"{path.name}.nii.gz")
    if file.exists():
        raise ImageError(
            f"There is a file {file.name} already: choose another name, or give that one with its "
            "suffix to replace it."
        )
    return file


def write_layer(path: Path, labels: Any, options: dict[str, Any]) -> None:
    """Write a Labels layer to a path with a suffix of NIfTI; see :func:`write_labels`.

    Raises
    ------
    ImageError
        If the layer has several resolutions or too many axes, is rotated or sheared, or the images
        in the viewer disagree about the patient.
    DataError
        If `path` is a folder, a device or the like.
    """
    if options.get("multiscale"):
        raise ImageError(
            "Labels of several resolutions cannot be saved as NIfTI: use the file they were opened "
            "from, such as the .labels.zarr of a slide."
        )
    labels = np.asarray(labels)
    if not is_upright(options, labels.ndim):
        raise ImageError("The labels are rotated or sheared: undo that before you save as NIfTI.")
    labels, options = without_channels(labels, options)
    patient = patient_of(options["metadata"])
    axes = "tyx" if is_cine(options, labels.ndim) else "tzyx"[-labels.ndim :]
    affine = patient.affine @ placement_mm(options, axes)
    volumes = labels[:, np.newaxis] if axes == "tyx" else labels
    more: dict[str, Any] = {
        "orientation": patient.orientation,
        "time_step": time_step(options, axes),
        "space": patient.space,
        # In napari 0.6 labels drawn on an image of a patient do not get its units.
        "in_pixels": patient.space == NOWHERE and not lengths_mm(options),
    }
    write_whole(path, lambda beside: write_nifti(beside, volumes, affine, **more))


def without_channels(labels: NDArray, options: dict[str, Any]) -> tuple[NDArray, dict[str, Any]]:
    """Drop the axis that stands for the channels of a mask's image, which NIfTI has no place for.

    See :attr:`napari_medt.engine.axes.Axes.channels_within`.
    """
    roles = options["metadata"].get(METADATA, {}).get("scope", {}).get("axes", [])
    axis = roles.index("channel") if "channel" in roles else 0
    if axis == 0 or len(roles) != labels.ndim or labels.shape[axis] != 1:
        return labels, options
    kept = [index for index in range(labels.ndim) if index != axis]
    vectors = {name: [options[name][index] for index in kept] for name in VECTORS}
    return labels.squeeze(axis), options | vectors


def is_upright(options: dict[str, Any], ndim: int) -> bool:
    """Whether a layer is placed by scale and translate alone."""
    none: dict[str, Any] = {"rotate": np.eye(ndim), "shear": 0, "affine": np.eye(ndim + 1)}
    return all(np.allclose(options[name], value) for name, value in none.items() if name in options)


def is_cine(options: dict[str, Any], ndim: int) -> bool:
    """Whether a layer holds times of a single slice, as the name or unit of its first axis says."""
    if ndim != 3:
        return False
    name, unit = options["axis_labels"][0], options["units"][0]
    return ROLES.get(name.lower()) == "time" or unit.is_compatible_with("s")


def placement_mm(options: dict[str, Any], axes: str) -> NDArray[np.float64]:
    """Matrix ``(4, 4)`` from column, row and slice to the space in mm of a layer's axes.

    An axis whose unit is no length is taken to be in that of the last axis with one, else in mm.
    """
    lengths = lengths_mm(options)
    last = lengths[max(lengths)] if lengths else 1.0
    factors = [lengths.get(axis, last) for axis in range(len(options["units"]))]
    scale, translate = (np.array(options[name]) * factors for name in ("scale", "translate"))
    return placement(axes, scale, translate)


def lengths_mm(options: dict[str, Any]) -> dict[int, float]:
    """Millimetres in the unit of each axis that has one of length."""
    lengths = {axis: mm_in(unit) for axis, unit in enumerate(options["units"])}
    return {axis: length for axis, length in lengths.items() if math.isfinite(length)}


def time_step(options: dict[str, Any], axes: str) -> float:
    """Seconds between the times of a layer; 0 if unknown."""
    unit = options["units"][0]
    if not axes.startswith("t") or not unit.is_compatible_with("s"):
        return 0.0
    return float((abs(options["scale"][0]) * unit).to("s").magnitude)


def patient_of(metadata: dict[str, Any]) -> Patient:
    """How labels lie in the patient: by their metadata, or as the images in the viewer do."""
    if PATIENT in metadata:
        return Patient.from_dict(metadata[PATIENT])
    if METADATA in metadata:  # a mask knows its image, which then lies in no patient
        return Patient(np.eye(4), space=NOWHERE)
    viewer = napari.current_viewer()
    layers: list[Layer] = list(viewer.layers) if viewer is not None else []
    found = [Patient.from_dict(x.metadata[PATIENT]) for x in layers if PATIENT in x.metadata]
    if not all(np.allclose(patient.affine, found[0].affine) for patient in found):
        raise ImageError(
            "The images in the viewer lie differently in the patient: keep only the one that the "
            "labels belong to."
        )
    return found[0] if found else Patient(np.eye(4), space=NOWHERE)
