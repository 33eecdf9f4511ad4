"""Accuracy in words: what a card or an evaluation holds per branch setting, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FAILURE_DICE = 0.7  # below this, redrawing a mask is quicker than correcting it

# Names of the measures, in the order of the table.
MEASURES = {
    "dice": "Dice",
    "iou": "IoU",
    "ap50": "AP@0.5",
    "pq": "Panoptic quality",
    "circumference_error_mm": "Circumference error, mm",
    "ece": "Calibration error",
    "failures": f"Images below Dice {FAILURE_DICE}",
}


def accuracy_lines(accuracy: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write accuracy as the lines of a table.

    Parameters
    ----------
    accuracy : mapping
        Per branch setting: ``images`` (how many), means by the keys of :data:`MEASURES` and, as
        ``KEY_ci``, their 95 % intervals ``[low, high]``. Only models that give objects or
        circumferences have measures of these, and images of a single group have no intervals. A
        user's card may hold fewer still, since anybody can edit the file.

    Returns
    -------
    list of str
        A heading, then one line per measure and one column per branch setting; empty if nothing
        was measured.
    """
    if not accuracy:
        return []
    images = max(row["images"] for row in accuracy.values())
    heading = "1 image" if images == 1 else f"{images} images"
    rows = [(heading, *accuracy)]
    for key, name in MEASURES.items():
        if any(key in row for row in accuracy.values()):
            rows.append((name, *(_cell(row, key) for row in accuracy.values())))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if any(key.endswith("_ci") for row in accuracy.values() for key in row):
        lines.append("In brackets: 95 % interval of the mean over images.")
    return lines


def reliability(accuracy: Mapping[str, Mapping[str, Any]]) -> str:
    """Say for a clinician how good a model is; empty if nothing was measured.

    Parameters
    ----------
    accuracy : mapping
        As for :func:`accuracy_lines`; only the setting ``"both"`` is used.
    """
    row = accuracy.get("both", {})
    if "failures" not in row:
        return ""
    count, failed = row["images"], row["failures"] or "none"
    return (
        f"On {count} validation images, its masks matched those of experts to "
        f"{100 * row['dice']:.0f} % on average (Dice); {failed} of {count} failed, with less than "
        f"{100 * FAILURE_DICE:.0f} %. It was not trained on these images, but they were used to "
        "choose its weights and settings."
    )


def _cell(row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        return "-"
    if key == "failures":
        return str(row[key])
    digits = 2 if key.endswith("_mm") else 3
    value = f"{row[key]:.{digits}f}"
    interval = row.get(f"{key}_ci")
    return f"{value} ({interval[0]:.{digits}f}-{interval[1]:.{digits}f})" if interval else value
