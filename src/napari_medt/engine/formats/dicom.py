"""DICOM in: single images, multi-frame images, and series of slices in a folder.

No name, number or date of a patient leaves this module.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom as begins_as_dicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from napari_medt.engine.formats.jpeg import add_decoders
from napari_medt.engine.formats.picture import Affine, Picture, volume, without_units
from napari_medt.errors import ImageError

add_decoders()

SUFFIXES = (".dcm", ".dicom")
DIRECTORY_FILE = "DICOMDIR"  # lists other files and holds no image
PROBED_FILES = 32  # of a folder, before it is taken for something else
SAME_PLACE = 0.01  # mm: positions nearer than this are one
MOST_UNEVEN = 0.1  # of the mean distance between slices: how much distances may differ
CENTIMETRES = 3  # code of ultrasound's unit of length
TISSUE_IMAGE = 1  # code of ultrasound's two-dimensional regions
# Any of them means that frames are times, and says how far apart: in milliseconds, or per second.
FRAME_TIMES = ("FrameTime", "FrameTimeVector")
FRAME_RATES = ("CineRate", "RecommendedDisplayFrameRate")


@dataclass(frozen=True, eq=False)
class Frame:
    """One plane of an image: ``(H, W)`` or ``(H, W, 3)``, and where it lies, if that is known."""

    pixels: NDArray
    position: NDArray[np.float64] | None


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its first bytes; False if it cannot be read."""
    try:
        return os.path.isfile(path) and begins_as_dicom(path)
    except OSError:
        return False


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder, or one in it, holds DICOM files; looks at a few files only."""
    return any(is_dicom(path) for path in islice(_files(folder), PROBED_FILES))


def find_dicom(folder: Path) -> list[Path]:
    """List the DICOM files below a folder, whatever their suffix."""
    return [path for path in _files(folder) if is_dicom(path)]


def find_series(paths: Iterable[Path]) -> list[list[Path]]:
    """Group DICOM files that :func:`read_dicom` makes one picture of.

    Files of different folders are never in one group. Files without an image are left out; a
    damaged one stays by itself, and reading it says what is wrong.
    """
    series: dict[Any, list[Path]] = {}
    for path in paths:
        key: Any = path
        with suppress(ImageError):
            found = _read_header(path)
            if found is None:
                continue
            key = (path.parent, *found[0])
        series.setdefault(key, []).append(path)
    return list(series.values())


def read_dicom(paths: Iterable[Path]) -> list[Picture]:
    """Read DICOM files: one picture per series, its slices in order.

    Multi-frame files, and files of a series that differ in orientation or size (such as overview
    images), are pictures of their own. Files without an image are left out.

    Parameters
    ----------
    paths : iterable of Path
        Files, in any order.

    Raises
    ------
    ImageError
        If a file is damaged, or none holds an image.
    """
    paths = list(paths)
    series: dict[Any, list[tuple[Path, Dataset]]] = {}
    for path in paths:
        if found := _read_header(path):
            key, header = found
            series.setdefault(key, []).append((path, header))
    if not series:
        what = paths[0].name if len(paths) == 1 else "The folder"
        raise ImageError(f"{what} holds no DICOM image: choose the files of an image series.")
    return [_read_series(files) for files in series.values()]


def _files(folder: Path) -> Iterator[Path]:
    found = (path for path in folder.rglob("*") if not path.name.startswith("."))
    # Unlike Path.is_file, this is false where it is not allowed to look.
    return (path for path in found if os.path.isfile(path) and path.name != DIRECTORY_FILE)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file leads to into a sentence that names it."""
    try:
        # pydicom's warnings quote values of the file, which may name a patient.
        with warnings.catch_warnings(action="ignore"):
            yield
    except (ImageError, MemoryError):
        raise
    except InvalidDicomError:
        raise ImageError(f"{path.name} is not a DICOM file.") from None
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except Exception:  # pydicom raises anything, and quotes the file
        raise ImageError(
            f"{path.name} is damaged or of a kind that cannot be read: export it again."
        ) from None


def _read_header(path: Path) -> tuple[tuple[Any, ...], Dataset] | None:
    """Read the series and the header of a file; None if it holds no image."""
    with _reading(path):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        return (_series_key(header), header) if "Rows" in header else None


def _series_key(header: Dataset) -> tuple[Any, ...]:
    single = int(header.get("NumberOfFrames") or 1) == 1
    directions = _find(header, 0, "PlaneOrientationSequence", "ImageOrientationPatient") or ()
    return (
        header.get("SeriesInstanceUID"),
        None if single else header.get("SOPInstanceUID"),
        header.Rows,
        header.get("Columns"),
        header.get("PhotometricInterpretation"),
        tuple(round(float(value), 2) for value in directions),
    )


def _read_series(files: list[tuple[Path, Dataset]]) -> Picture:
    with _reading(files[0][0]):
        files = sorted(files, key=lambda file: int(file[1].get("InstanceNumber") or 0))
        path, header = files[len(files) // 2]  # whose window suits most slices
        frames = [frame for name, _ in files for frame in _read_frames(name)]
        return _assemble(frames, header, path.stem)


def _read_frames(path: Path) -> list[Frame]:
    with _reading(path):
        data = pydicom.dcmread(path)
        return [
            Frame(_real_values(plane, data, index), _position(data, index))
            for index, plane in enumerate(_decode(data, path.name))
        ]


def _assemble(frames: list[Frame], header: Dataset, stem: str) -> Picture:
    """Put frames in order and say where they lie."""
    directions = _directions(header)
    normal = _way_of_slices(directions[:, 2])
    times, frames = _arrange(frames, normal)
    placed = frames[0].position is not None
    if not placed and any(header.get(name) is not None for name in FRAME_TIMES + FRAME_RATES):
        times = len(frames)
    planes = np.stack([frame.pixels for frame in frames])
    array = planes.reshape(times, len(frames) // times, *planes.shape[1:])
    axes = "tzyxs"[: array.ndim]
    if times == 1:
        array, axes = array[0], axes[1:]
    slices = frames[: len(frames) // times]
    spacing, distance = _pixel_spacing(header), _slice_distance(header)
    picture = volume(
        array,
        axes,
        _affine(slices, directions, spacing or (1.0, 1.0), distance or 1.0),
        time_step=_time_step(header),
        name=_name(header, stem),
        window=_window(header),
        inverted=header.get("PhotometricInterpretation") == "MONOCHROME1",
        uneven=_is_uneven(slices, normal),
    )
    if not placed:
        picture = replace(picture, patient=None)
    if spacing is None:
        picture = without_units(picture, "zyx")
    if not placed and not distance:
        picture = without_units(picture, "z")
    return picture


def _time_step(header: Dataset) -> float:
    """Seconds between times, the mean where they vary; 0 if unknown."""
    if step := header.get("FrameTime"):
        return float(step) / 1000
    steps = np.atleast_1d(np.array(header.get("FrameTimeVector") or [], float))[1:]
    if steps.any():  # the first is that of the first frame from itself
        return float(steps.mean()) / 1000
    rate = next((header.get(name) for name in FRAME_RATES if header.get(name)), 0)
    return 1 / float(rate) if rate else 0.0


def _way_of_slices(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Point the normal of sagittal slices from the patient's right to left, as NIfTI is shown.

    Labels saved as NIfTI then have their slices in the order of the image's.
    """
    sagittal = np.abs(normal).argmax() == 0
    return -normal if sagittal and normal[0] < 0 else normal


def _arrange(frames: list[Frame], normal: NDArray[np.float64]) -> tuple[int, list[Frame]]:
    """Sort frames by time, and within a time along a normal; returns how many times there are.

    Frames without positions are slices in file order. If some positions hold more frames than
    others, all frames are taken for times.
    """
    if any(frame.position is None for frame in frames):
        return 1, frames
    along = np.array([frame.position @ normal for frame in frames])  # type: ignore[operator]
    order = np.argsort(along, kind="stable")
    places = np.split(order, np.flatnonzero(np.diff(along[order]) > SAME_PLACE) + 1)
    times = len(places[0])
    if any(len(place) != times for place in places):
        return len(frames), frames
    return times, [frames[place[time]] for time in range(times) for place in places]


def _is_uneven(slices: list[Frame], normal: NDArray[np.float64]) -> bool:
    """Whether the distances between sorted slices differ, as where one is missing."""
    gaps = np.diff([frame.position @ normal for frame in slices if frame.position is not None])
    return len(gaps) > 1 and bool(np.ptp(gaps) > MOST_UNEVEN * gaps.mean())


def _affine(
    slices: list[Frame],
    directions: NDArray[np.float64],
    spacing: tuple[float, float],
    distance: float,
) -> Affine:
    """From column, row and slice to the patient, in mm."""
    affine = np.eye(4)
    affine[:3, :3] = directions * (spacing[1], spacing[0], distance)
    first, last = slices[0].position, slices[-1].position
    if first is not None and last is not None:
        affine[:3, 3] = first
        if len(slices) > 1:
            affine[:3, 2] = (last - first) / (len(slices) - 1)
    return affine


def _find(data: Dataset, index: int, sequence: str, keyword: str) -> Any:
    """Look up a value of one frame: in its own group, the shared one, or the data set."""
    frames = data.get("PerFrameFunctionalGroupsSequence") or []
    shared = data.get("SharedFunctionalGroupsSequence") or []
    for group in (*frames[index : index + 1], *shared):
        for item in group.get(sequence) or []:
            if item.get(keyword) is not None:
                return item.get(keyword)
    return data.get(keyword)


def _position(data: Dataset, index: int) -> NDArray[np.float64] | None:
    position = _find(data, index, "PlanePositionSequence", "ImagePositionPatient")
    if not position or not _find(data, 0, "PlaneOrientationSequence", "ImageOrientationPatient"):
        return None
    offsets = data.get("GridFrameOffsetVector")
    offset = float(offsets[index]) if offsets else 0.0  # of a dose, along the normal
    return np.array(position, float) + offset * _directions(data)[:, 2]


def _directions(data: Dataset) -> NDArray[np.float64]:
    """Directions of columns, rows and slices in the patient, as columns of a matrix."""
    found = _find(data, 0, "PlaneOrientationSequence", "ImageOrientationPatient")
    x, y = np.array(found or (1, 0, 0, 0, 1, 0), float).reshape(2, 3)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _pixel_spacing(data: Dataset) -> tuple[float, float] | None:
    """Millimetres between rows and between columns; None if unknown, which some write as 0."""
    magnified = float(data.get("EstimatedRadiographicMagnificationFactor") or 0) or 1.0
    for found, factor in (
        (_find(data, 0, "PixelMeasuresSequence", "PixelSpacing"), 1.0),
        (data.get("ImagerPixelSpacing"), magnified),  # on the detector, behind the patient
        (data.get("NominalScannedPixelSpacing"), 1.0),
        (_ultrasound_spacing(data), 1.0),
    ):
        if found and float(found[0]) and float(found[1]):
            return abs(float(found[0])) / factor, abs(float(found[1])) / factor
    return None


def _ultrasound_spacing(data: Dataset) -> tuple[float, float] | None:
    """Spacing of an ultrasound image whose regions agree on one."""
    spacings = {
        (round(10 * abs(region.PhysicalDeltaY), 6), round(10 * abs(region.PhysicalDeltaX), 6))
        for region in data.get("SequenceOfUltrasoundRegions") or []
        if region.get("RegionSpatialFormat") == TISSUE_IMAGE
        and region.get("PhysicalUnitsXDirection") == CENTIMETRES
        and region.get("PhysicalUnitsYDirection") == CENTIMETRES
    }
    return spacings.pop() if len(spacings) == 1 else None


def _slice_distance(data: Dataset) -> float:
    """Millimetres between slices by the header, for lack of positions; 0 if unknown."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        distance = abs(float(_find(data, 0, "PixelMeasuresSequence", keyword) or 0))
        if distance:
            return distance
    return 0.0


def _window(data: Dataset) -> tuple[float, float] | None:
    """First and last value of the first window, by DICOM's linear function."""
    centre, width = (
        np.atleast_1d(np.array(_find(data, 0, "FrameVOILUTSequence", keyword) or [], float))
        for keyword in ("WindowCenter", "WindowWidth")
    )
    if not len(centre) or not len(width) or width[0] <= 1:
        return None
    half = (width[0] - 1) / 2
    return float(centre[0] - 0.5 - half), float(centre[0] - 0.5 + half)


def _name(data: Dataset, stem: str) -> str:
    """Name a series by what it shows; by its file only if it says nothing."""
    words = (data.get("Modality"), data.get("SeriesDescription"))
    return " ".join(str(word).strip() for word in words if word) or stem


def _decode(data: Dataset, name: str) -> NDArray:
    """Decode all frames: ``(frames, H, W)`` of stored values, or ``(frames, H, W, 3)`` 8-bit RGB.

    Raises
    ------
    ImageError
        If nothing here can decode them.
    """
    count = int(data.get("NumberOfFrames") or 1)
    if "TotalPixelMatrixColumns" in data and count > 1:
        raise ImageError(f"{name} is a whole slide: open it with a reader for whole slides.")
    pixels, depth = _decompress(data, name), int(data.BitsStored)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, data)
        depth = 8 * pixels.itemsize
    if count == 1:
        pixels = pixels[np.newaxis]
    if pixels.ndim == 4:  # deep colours to 8 bits, which is what models know
        pixels = (pixels >> max(0, depth - 8)).astype(np.uint8)
    return pixels


def _decompress(data: Dataset, name: str) -> NDArray:
    syntax = data.file_meta.TransferSyntaxUID
    try:
        if get_decoder(syntax).is_available:
            return pixel_array(data)
    except (NotImplementedError, RuntimeError):  # from the decoders
        if not syntax.is_compressed:
            raise
    raise ImageError(
        f"{name} is compressed in a way that cannot be read ({syntax.name}): export it again "
        "without compression."
    )


def _real_values(plane: NDArray, data: Dataset, index: int) -> NDArray:
    """Turn stored values into real ones: Hounsfield units, activities. Whole numbers stay whole."""
    if plane.ndim == 3:
        return plane
    if "ModalityLUTSequence" in data:
        return apply_modality_lut(plane, data).astype(np.float32)
    group = "PixelValueTransformationSequence"
    slope = float(_find(data, index, group, "RescaleSlope") or 1)
    intercept = float(_find(data, index, group, "RescaleIntercept") or 0)
    if slope != 1 or not intercept.is_integer():
        return (plane * slope + intercept).astype(np.float32)
    if intercept == 0:
        return plane
    values = plane.astype(np.int64) + int(intercept)
    small = np.iinfo(np.int16)
    fits = small.min <= values.min() and values.max() <= small.max
    return values.astype(np.int16 if fits else np.int32)
