"""The log of a run, as a table and as a picture."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from napari_medt.engine.files import write_whole
from napari_medt.models.accuracy import MEASURES

COLUMNS = (
    *("epoch", "step", "seconds", "learning_rate", "loss"),
    *(f"val_{measure}" for measure in MEASURES),
)


def write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows of a run's log as CSV; what was not measured stays empty."""

    def write(beside: Path) -> None:
        with beside.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def draw_curve(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Draw training loss and validation Dice over the epochs as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    loss = figure.subplots()
    loss.plot([row["epoch"] for row in rows], [row["loss"] for row in rows], color="tab:gray")
    loss.set(xlabel="epoch", ylabel="training loss")
    loss.set_title(title, parse_math=False)  # a name may have dollars
    loss.set_ylim(bottom=0)
    measured = [row for row in rows if row.get("val_dice") is not None]
    dice = loss.twinx()
    dice.plot(
        [row["epoch"] for row in measured],
        [row["val_dice"] for row in measured],
        color="tab:blue",
        marker=".",
    )
    dice.set_ylabel("validation Dice", color="tab:blue")
    dice.set_ylim(top=1)
    write_whole(path, lambda beside: figure.savefig(beside, dpi=120))
