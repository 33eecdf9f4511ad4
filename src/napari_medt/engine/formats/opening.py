"""What readers of all formats need: one sentence for files they cannot read, and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medt.errors import ImageError


@contextmanager
def opening(path: Path, kind: str = "an image") -> Iterator[None]:
    """Turn what a missing or damaged file leads to into a sentence that names it.

    Raises
    ------
    ImageError
        If the file is missing, damaged or not of this kind.
    """
    if not path.exists():
        raise ImageError(f"There is no file {path}.")
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # readers raise whatever their format makes them
        raise ImageError(f"{path.name} is not {kind} that can be read.") from error


def stem(path: Path, suffixes: Iterable[str]) -> str:
    """Name of a file less that of some lower-case suffixes which it ends in, in any case."""
    suffix = next((suffix for suffix in suffixes if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]
