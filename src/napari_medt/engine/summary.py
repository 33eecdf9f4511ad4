"""The outcome of a batch for each image: as a table, and in words."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_medt.engine.files import write_whole
from napari_medt.errors import DataError, file_trouble

if TYPE_CHECKING:  # it would import the readers of all formats, which the widget loads for a run
    from napari_medt.engine.inputs import Item

SUMMARY_FILE = "summary.csv"
DIGITS = 6  # significant digits of a measurement in the table
Status = Literal["done", "skipped", "kept", "failed", "waiting"]
# What each status is called in the table.
STATUSES: dict[Status, str] = {
    "done": "done",
    "skipped": "skipped, done before",
    "kept": "kept, edited",
    "failed": "failed",
    "waiting": "not reached",
}
# The same in a sentence, of images that were not segmented in this run.
WORDS: dict[Status, str] = {
    "skipped": "done before",
    "kept": "kept as you edited them",
    "failed": "failed",
}


@dataclass(frozen=True)
class Measurements:
    """What was measured in labels; None where it does not apply or is not known.

    Attributes
    ----------
    taken_for : str
        What the axes of the image are, in words.
    objects : int, optional
        How many, for models that separate objects.
    area_percent : float, optional
        How much of the image is labelled, 0 to 100.
    area_pixels : int, optional
        Labelled pixels, in all planes.
    area_mm2 : float, optional
        Of a single plane.
    volume_mm3 : float, optional
        Of a single volume.
    circumference_pixels, circumference_mm : float, optional
        For models that report it: in millimetres where the size of a pixel is known.
    """

    taken_for: str = ""
    objects: int | None = None
    area_percent: float | None = None
    area_pixels: int | None = None
    area_mm2: float | None = None
    volume_mm3: float | None = None
    circumference_pixels: float | None = None
    circumference_mm: float | None = None

    def circumference_in_words(self) -> str:
        """Say how long the circumference is; empty where there is none."""
        if self.circumference_mm is not None:
            return f"circumference {self.circumference_mm:.1f} mm"
        if self.circumference_pixels is not None:
            return f"circumference {self.circumference_pixels:.0f} pixels"
        return ""


@dataclass(frozen=True)
class Result:
    """The outcome for one image.

    Attributes
    ----------
    item : Item
        The image.
    status : {"done", "skipped", "kept", "failed", "waiting"}
        Skipped: it was done before. Kept: its labels were edited, so they stay. Waiting: the run
        did not come to it.
    error : str
        One sentence, if it failed.
    labels : str
        Name of the label file.
    measured : Measurements
        What was measured in it.
    seconds : float
        From reading to writing.
    """

    item: Item
    status: Status = "waiting"
    error: str = ""
    labels: str = ""
    measured: Measurements = field(default_factory=Measurements)
    seconds: float = 0.0

    @property
    def problem(self) -> str:
        """The error, with the image's name in front."""
        label = self.item.label
        return self.error if self.error.startswith(label) else f"{label}: {self.error}"


def write_summary(
    folder: Path, results: Iterable[Result], earlier: Iterable[dict[str, str]]
) -> None:
    """Write the table of results, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where to.
    results : iterable of Result
        Of this run.
    earlier : iterable of dict
        Rows of earlier runs, from :func:`napari_medt.engine.results.earlier_rows`; they come first.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    table = io.StringIO()
    names = [one.name for one in fields(Measurements)]
    writer = csv.DictWriter(
        table,
        ["image", "status", "error", *names, "seconds", "labels"],
        extrasaction="ignore",
        lineterminator="\n",
    )
    writer.writeheader()
    writer.writerows(earlier)
    for result in results:
        row = {
            "image": result.item.label,
            "status": STATUSES[result.status],
            "error": result.error,
            **{name: _rounded(value) for name, value in asdict(result.measured).items()},
            "seconds": f"{result.seconds:.2f}",
            "labels": result.labels,
        }
        writer.writerow(row)
    path = folder / SUMMARY_FILE
    try:
        # Bytes, since write_text would translate line ends; names of files may hold any bytes.
        # Without the byte-order mark Excel takes UTF-8 for the code page of the computer.
        text = table.getvalue().encode("utf-8-sig", errors="backslashreplace")
        write_whole(path, lambda beside: beside.write_bytes(text))
    except OSError as error:
        advice = (
            "close it if another program has it open, or choose another output folder, and start "
            "again"
        )
        raise DataError(file_trouble(error, path, advice)) from None


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def in_words(results: Sequence[Result]) -> str:
    """Count the images by outcome, as one sentence."""
    counts = Counter(result.status for result in results)
    parts = [f"{counts['done']} of {len(results)} images segmented"]
    parts += [f"{counts[status]} {words}" for status, words in WORDS.items() if counts[status]]
    return ", ".join(parts) + "."


def failures(results: Iterable[Result]) -> list[str]:
    """One sentence for every image that failed."""
    return [result.problem for result in results if result.status == "failed"]
