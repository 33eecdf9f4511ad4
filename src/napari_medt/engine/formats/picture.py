"""An image with its place in space, whatever file it came from.

Space here has the image's own axes: x along its columns, y along its rows, z across its slices. So
nothing is shown oblique, while :class:`Patient` keeps the way back to the patient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]  # (4, 4), for (x, y, z, 1)

COLOUR = "s"
SAMPLES = (3, 4)  # of a pixel in colour, without and with transparency
MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3}
PATIENT = "patient_space"  # key of a layer's metadata that holds Patient.to_dict()
INVERTED = "low_is_bright"  # key that says so of a layer
NOWHERE, SCANNER, ALIGNED = range(3)  # NIfTI's codes of spaces; it has others
ASKEW = 1e-3  # cosine of the angle between axes that are not taken for perpendicular
UNEVEN = (  # what to tell of such a picture
    "the slices are unevenly spaced, so positions and volumes in mm are not true: check whether "
    "one is missing or does not belong there."
)


@dataclass(frozen=True, eq=False)
class Patient:
    """How an image lies in the patient.

    Attributes
    ----------
    affine : array of float
        ``(4, 4)``: from the image's space (x, y, z in mm; z counts slices if there is a single one)
        to the patient's left, back and head in mm (DICOM's LPS).
    orientation : str
        Anatomical codes of the axes as a NIfTI file stores them, such as ``"RAS"``; empty if they
        are stored as they are shown.
    space : int
        NIfTI's code of the space of left, back and head: 1 the scanner's, 2 that of another file,
        0 if in truth no patient is known.
    """

    affine: Affine
    orientation: str = ""
    space: int = SCANNER

    @property
    def askew(self) -> bool:
        """Whether rows and columns are at no right angle, so that lengths in them are unknown."""
        return not are_perpendicular(self.affine[:3, :2])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "affine": self.affine.tolist(),
            "orientation": self.orientation,
            "space": self.space,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Patient:
        """Undo :meth:`to_dict`."""
        return cls(np.array(values["affine"], float), values["orientation"], values["space"])


@dataclass(frozen=True, eq=False)
class Picture:
    """An image in memory.

    Attributes
    ----------
    array : array
        Its values; those of a CT are Hounsfield units.
    axes : str
        One letter per axis: t time, c channel, z slice, y row, x column, s colour (red, green and
        blue, perhaps alpha; always last). Other letters are axes of unknown meaning.
    name : str
        What to call it.
    scale, translate : tuple of float
        Size of a pixel and position of the first one, for each axis but the colour.
    units : tuple of str
        Of scale and translate: ``"mm"``, ``"um"``, ``"s"`` and so on, ``"pixel"`` where unknown.
    window : tuple of float, optional
        The values to show as black and white, if the file says so.
    inverted : bool
        Whether low values are to be shown bright (DICOM's MONOCHROME1, TIFF's white is zero).
    patient : Patient, optional
        How the image lies in the patient, if that is known.
    labels : bool
        Whether the values are whole numbers that stand for objects or classes.
    uneven : bool
        Whether the slices are unevenly spaced: `scale` then holds their mean distance.
    """

    array: NDArray
    axes: str
    name: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    window: tuple[float, float] | None = None
    inverted: bool = False
    patient: Patient | None = None
    labels: bool = False
    uneven: bool = False

    @property
    def shown(self) -> NDArray:
        """The values, inverted where low ones are to be shown bright."""
        return inverted(self.array) if self.inverted else self.array

    @property
    def rgb(self) -> bool:
        """Whether the last axis is colour."""
        return self.axes.endswith(COLOUR)

    @property
    def mm(self) -> dict[str, float]:
        """Size of a pixel in millimetres, of the axes where it is known."""
        sizes = zip(self.axes, self.scale, self.units, strict=False)
        return {axis: size * MILLIMETRES[unit] for axis, size, unit in sizes if unit in MILLIMETRES}

    @property
    def time_step(self) -> float:
        """Seconds between times; 0 if unknown."""
        known = dict(zip(self.axes, zip(self.scale, self.units, strict=True), strict=False))
        step, unit = known.get("t", (0.0, "s"))
        return step if unit == "s" else 0.0

    @property
    def affine(self) -> Affine | None:
        """From column, row and slice to the patient's left, back and head in mm: ``(4, 4)``."""
        if self.patient is None:
            return None
        return self.patient.affine @ placement(self.axes, self.scale, self.translate)


def placement(axes: str, scale: Any, translate: Any) -> Affine:
    """From column, row and slice to an image's space; without a z axis slices are 1 apart.

    Parameters
    ----------
    axes : str
        Letters of the axes.
    scale, translate : sequence of float
        Of each of them.
    """
    affine = np.eye(4)
    for index, axis in enumerate("xyz"):
        if axis in axes:
            affine[index, index] = scale[axes.index(axis)]
            affine[index, 3] = translate[axes.index(axis)]
    return affine


def volume(
    array: NDArray,
    axes: str,
    affine: Affine,
    *,
    orientation: str = "",
    space: int = SCANNER,
    time_step: float,
    **more: Any,
) -> Picture:
    """Place a picture by the affine from column, row and slice to the patient.

    Images of the same orientation share one space, so they are aligned. The slice axis of a single
    slice is dropped.

    Parameters
    ----------
    array, axes
        As for :class:`Picture`, with axes z, y and x.
    affine : array of float
        ``(4, 4)``, into left, back and head in mm.
    orientation, space
        As for :class:`Patient`.
    time_step : float
        Seconds between times; 0 if unknown.
    more
        Other attributes of the picture.

    Raises
    ------
    ValueError
        See :func:`split_affine`.
    """
    directions, lengths, origin = split_affine(affine)
    scale = dict(zip("xyz", lengths.tolist(), strict=True))
    translate = dict(zip("xyz", origin.tolist(), strict=True))
    units = dict.fromkeys("xyz", "mm")
    if time_step:
        scale["t"], units["t"] = time_step, "s"
    if array.shape[axes.index("z")] == 1:
        array, axes = array.squeeze(axes.index("z")), axes.replace("z", "")
        directions = directions @ placement("z", (scale["z"],), (translate["z"],))
    placed = axes.removesuffix(COLOUR)
    return Picture(
        array,
        axes,
        scale=tuple(scale.get(axis, 1.0) for axis in placed),
        translate=tuple(translate.get(axis, 0.0) for axis in placed),
        units=tuple(units.get(axis, "pixel") for axis in placed),
        patient=Patient(directions, orientation, space),
        **more,
    )


def split_affine(affine: Affine) -> tuple[Affine, NDArray, NDArray]:
    """Split an affine into directions ``(4, 4)``, scale ``(3,)`` and translate ``(3,)``.

    The translation is measured along the directions.

    Raises
    ------
    ValueError
        If an axis has no length, or the axes lie in one plane.
    """
    scale: NDArray[np.float64] = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or scale.min() <= 0:
        raise ValueError("an axis has no length")
    directions = np.eye(4)
    directions[:3, :3] = affine[:3, :3] / scale
    if abs(np.linalg.det(directions)) < 1e-6:
        raise ValueError("the axes lie in one plane")
    return directions, scale, np.linalg.solve(directions[:3, :3], affine[:3, 3])


def are_perpendicular(steps: NDArray[np.float64]) -> bool:
    """Whether the columns of a matrix are at right angles, but for rounding."""
    directions = steps / np.linalg.norm(steps, axis=0)
    cosines = directions.T @ directions - np.eye(steps.shape[1])
    return bool(np.abs(cosines).max() < ASKEW)


def without_units(picture: Picture, axes: str) -> Picture:
    """Leave open how large a pixel is along some axes."""
    units = zip(picture.axes, picture.units, strict=False)  # the axes may end in colours
    return replace(picture, units=tuple("pixel" if axis in axes else unit for axis, unit in units))


def inverted(array: Any) -> Any:
    """Invert values, so that the lowest become the highest; their type stays."""
    return ~array if array.dtype.kind in "iu" else -array
