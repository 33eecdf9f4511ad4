"""A record for each label file of a batch: how it was made, and its hash, to recognise edits.

Records are in ``.medt`` beside the labels, as ``NAME.json``. They hold no path, person or time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_medt import __version__
from napari_medt.engine.files import STATE, write_json
from napari_medt.models.card import ModelCard
from napari_medt.network.config import Branches


@dataclass(frozen=True)
class BatchSettings:
    """How the images of a batch are segmented.

    Attributes
    ----------
    branches, threshold, min_size
        As for :func:`napari_medt.engine.segment.segment`.
    channel : int
        Which channel, counted from 0, of images that have several.
    channel_given : bool
        Whether the user asked for `channel`: then it is one colour of images in colour, and images
        without such a channel are refused.
    link : bool
        Whether objects that overlap from slice to slice are one object.
    mm_per_pixel : float, optional
        Side of a pixel in millimetres; by default what each file says.
    """

    branches: Branches = "both"
    threshold: float | None = None
    min_size: int | None = None
    channel: int = 0
    channel_given: bool = False
    link: bool = False
    mm_per_pixel: float | None = None

    def made_with(self, card: ModelCard) -> dict[str, Any]:
        """Return everything that labels depend on, except the image, as plain values."""
        return {
            "version": __version__,
            "model": card.name,
            "weights_sha256": card.sha256,
            "report_scale": card.report_scale,
            **card.recipe,
            **asdict(self),
            "threshold": card.threshold if self.threshold is None else self.threshold,
            "min_size": card.min_size if self.min_size is None else self.min_size,
        }


@dataclass(frozen=True)
class Record:
    """How one label file was made.

    Attributes
    ----------
    made : dict
        Version of this package, model, settings and the image's fingerprint.
    labels : str
        Name of the label file.
    written : list of str
        SHA-256 of that file as it is, or was before it was written again. The record is written
        before the file, so a file with another one was edited, even if a run was killed.
    found : dict
        What was measured; see :class:`napari_medt.engine.summary.Measurements`.
    probability : list of str
        SHA-256 of the probabilities written with the labels; empty if there were none. While they
        are being written it holds the old and the new one, in case the run is killed.
    """

    made: dict[str, Any] = field(default_factory=dict)
    labels: str = ""
    written: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    probability: list[str] = field(default_factory=list)

    def is_current(self, output: Path, made: dict[str, Any]) -> bool:
        """Whether the labels are there, as they were written, and would be made the same again."""
        file = output / self.labels
        return self.made == made and file.is_file() and sha256(file) == self.written[-1]

    def has_probability(self, file: Path) -> bool:
        """Whether a file holds the probabilities that were written with the labels."""
        return file.is_file() and [sha256(file)] == self.probability

    def known(self, labels: Path) -> list[str]:
        """List the SHA-256 of a label file if it is as it was written; empty if not, or missing."""
        now = sha256(labels) if labels.is_file() else ""
        return [now] if now in self.written else []

    def is_edited(self, labels: Path) -> bool:
        """Whether a label file is there, but not as it was written."""
        return labels.is_file() and not self.known(labels)


def read_record(output: Path, name: str) -> Record:
    """Read the record of an item; an empty one if it is missing or damaged."""
    try:
        text = (output / STATE / f"{name}.json").read_text(encoding="utf-8")
        return Record(**json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError):  # deep nesting raises the last
        return Record()


def write_record(output: Path, name: str, record: Record) -> None:
    """Write the record of an item, whole or not at all."""
    folder = output / STATE
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{name}.json", asdict(record))


def fingerprint(files: Sequence[Path]) -> str:
    """Hash the contents of files, so that other files, or the same ones after a change, differ.

    Size and time do not suffice: files from an archive may all share them.
    """
    contents = "".join(sha256(path) for path in files if path.exists())
    return hashlib.sha256(contents.encode()).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
