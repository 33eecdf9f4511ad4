"""A quiet note where an image is unlike what the chosen model was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal

from napari_medt.errors import UserError
from napari_medt.gui.choices import Note
from napari_medt.gui.job import NewestJob
from napari_medt.models.card import ModelCard

Read = Callable[[], Any]


class FitNote(Note):
    """Says that another model fits the image better, or that none does; hidden otherwise.

    Comparing takes a moment, so it is done on a worker thread.
    """

    found = Signal(str)  # the bundled model trained on images most like this one
    looked = Signal()  # the last image has been compared
    crashed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self._unlikeness: dict[str, float] = {}
        self._read: Read | None = None
        self._job = NewestJob(self)
        self._job.succeeded.connect(self._on_compared)
        self._job.crashed.connect(self._on_crashed)
        self._show()

    @property
    def looking(self) -> bool:
        """Whether an image is being compared."""
        return self._read is not None

    def look_at(self, read: Read | None) -> None:
        """Compare an image, given as a function that reads it; None where there is none."""
        self._unlikeness, self._read = {}, read
        self._show()
        if read is not None:
            self._job.submit(lambda: (read, compare(read)))

    def show_model(self, card: ModelCard | None) -> None:
        """Say how the image fits this model."""
        self._name = card.name if card is not None else ""
        self._show()

    def _on_compared(self, compared: tuple[Read, dict[str, float]]) -> None:
        from napari_medt.engine.suitability import closest

        read, unlikeness = compared
        if read is not self._read:
            return  # another image was chosen meanwhile
        self._unlikeness, self._read = unlikeness, None
        self._show()
        if name := closest(unlikeness):
            self.found.emit(name)
        self.looked.emit()

    def _on_crashed(self, error: Exception) -> None:
        self._read = None
        self.crashed.emit(error)
        self.looked.emit()

    def _show(self) -> None:
        if self._unlikeness:
            from napari_medt.engine.suitability import advise

            self.show_sentence(advise(self._name, self._unlikeness))
        else:
            self.show_sentence("")


def compare(read: Read) -> dict[str, float]:
    """Compare an image with the training images of the bundled models.

    Returns
    -------
    dict
        See :func:`napari_medt.engine.suitability.unlikeness`; empty for what is no image to
        segment, or cannot be read, since Segment says why.
    """
    from napari_medt.engine.suitability import unlikeness
    from napari_medt.models.store import bundled_domains

    try:
        return unlikeness(read(), bundled_domains())
    except (UserError, MemoryError, OSError):
        return {}
