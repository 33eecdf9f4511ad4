"""``index.csv`` of a training folder: the groups of its images, and sizes where they are known."""

from __future__ import annotations

import csv
import math
import unicodedata
from pathlib import Path

from napari_medt.errors import DataError

INDEX_COLUMNS = ("group", "mm_per_pixel", "head_circumference_mm")  # besides the id


def composed(name: str) -> str:
    """Normalise a name to NFC: macOS stores accents apart from their letters."""
    return unicodedata.normalize("NFC", name)


def read_index(index: Path) -> dict[str, dict[str, str]] | None:
    """Read the rows of an index by their :func:`composed` ids, without spaces around values.

    Returns
    -------
    dict or None
        None if there is no such file.

    Raises
    ------
    DataError
        If it is not UTF-8, has no id or none of the other columns, or different rows for an
        id.
    """
    if not index.exists():
        return None
    try:
        # Spreadsheets put a byte-order mark in front, which would be part of the first name.
        with index.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            # A stray space would make two groups of one, and they could be split.
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = [{k: v.strip() for k, v in row.items() if k and v} for row in reader]
    except UnicodeDecodeError:
        raise DataError(f"{index} is not UTF-8 text: save it as CSV UTF-8.") from None
    if "id" not in (reader.fieldnames or ()):
        raise DataError(f"{index} has no column id: save it with commas between its columns.")
    if not set(INDEX_COLUMNS) & set(reader.fieldnames or ()):
        raise DataError(
            f"{index} has none of the columns {', '.join(INDEX_COLUMNS)}: name the one that tells "
            "patients or slides apart group."
        )
    return _by_id(rows, index)


def row_of(image: Path, index: dict[str, dict[str, str]], folder: Path) -> dict[str, str]:
    """Find an image's row; without its group it might be in both training and validation.

    Raises
    ------
    DataError
        If it is not there; the message names `folder`, which holds the index.
    """
    for name in (composed(image.stem), composed(image.name)):
        if name in index:
            return index[name]
    raise DataError(
        f"{image.name} is not in {folder / 'index.csv'}: add a row with its name as id."
    )


def read_size(row: dict[str, str], column: str) -> float | None:
    """Read a size from a row; None where there is none.

    Raises
    ------
    DataError
        If it is not a positive number.
    """
    text = row.get(column)
    if not text:
        return None
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 < size < math.inf:
        raise DataError(f"index.csv has {column} {text!r} for {row['id']}: give a positive number.")
    return size


def _by_id(rows: list[dict[str, str]], index: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if "id" in row and found.setdefault(composed(row["id"]), row) != row:
            raise DataError(f"{index} has different rows for id {row['id']!r}: keep one.")
    return found
