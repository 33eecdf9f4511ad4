"""What is remembered of labels that a batch wrote: how they were made, and whether they still are.

Records lie in ``.medt`` beside the labels, ``NAME.json`` each. They hold no path, person or time.
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
class Settings:
    """How the images of a batch are segmented.

    Attributes
    ----------
    branches, threshold, min_size
        As for :func:`napari_medt.engine.segment.segment`.
    channel : int
        Which channel, counted from 0, of images that have several.
    channel_given : bool
        Whether that was asked for: then it is taken of pictures in colour as well, and images that
        do not have it are refused.
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
        """Return all that decides labels, but the image, as plain values."""
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
        first, so a file that is neither holds somebody's work even if a run was killed.
    found : dict
        What was measured; see :class:`napari_medt.engine.summary.Found`.
    probability : list of str
        SHA-256 of the probabilities written with the labels; empty if there were none. Two, of what
        was there before and of what comes, while they are written: a run may be killed then.
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
        """SHA-256 of a label file, in a list, if it is there and is as it was written."""
        now = sha256(labels) if labels.is_file() else ""
        return [now] if now in self.written else []

    def is_edited(self, labels: Path) -> bool:
        """Whether a label file is there that is not what was written."""
        return labels.is_file() and not self.known(labels)


def read_record(output: Path, name: str) -> Record:
    """Read the record of an item; an empty one if there is none that can be read."""
    try:
        text = (output / STATE / f"{name}.json").read_text(encoding="utf-8")
        return Record(**json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError):  # the last of lists within lists
        return Record()


def write_record(output: Path, name: str, record: Record) -> None:
    """Write the record of an item, whole or not at all."""
    folder = output / STATE
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{name}.json", asdict(record))


def fingerprint(files: Sequence[Path]) -> str:
    """Tell files from others, and from themselves after a change, by all that is in them.

    Size and time do not tell enough: files of an archive may all have the same.
    """
    contents = "".join(sha256(path) for path in files if path.exists())
    return hashlib.sha256(contents.encode()).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
