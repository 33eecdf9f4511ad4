"""A run begun by the user: shown, cancelled and ended in one way, whatever it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medt.gui.job import Job, Work, run_job
from napari_medt.gui.progress import RunProgress


class Run(QObject):
    """One run at a time. A subclass says what it does and what becomes of its result.

    Parameters
    ----------
    progress : RunProgress
        Shows the run and can cancel it.
    parent : QWidget
        Owner of this object.
    """

    changed = Signal()  # a run began or ended
    said = Signal(str)
    cancelled = Signal(str)  # a sentence: what is left of it
    refused = Signal(str)
    crashed = Signal(object)

    def __init__(self, progress: RunProgress, parent: QWidget) -> None:
        super().__init__(parent)
        self._progress = progress
        self._job: Job | None = None
        self._left = ""
        progress.cancelled.connect(self.cancel)

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._job is not None

    def _begin(self, work: Work, *, promise: str, left: str, tiles_per_second: float = 0.0) -> None:
        """Begin a run.

        Parameters
        ----------
        work : callable
            What it does; see :class:`~napari_medt.gui.job.Job`.
        promise : str
            What Cancel would leave behind, as a sentence.
        left : str
            What it has left behind, once it was clicked.
        tiles_per_second : float
            The speed to expect; 0 where that is unknown.
        """
        self._left = left
        self.said.emit("")
        self._progress.begin(promise, tiles_per_second)
        self._job = run_job(
            self,
            work,
            progressed=self._on_progress,
            succeeded=self._on_succeeded,
            refused=self._on_refused,
            crashed=self._on_crashed,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the run at once."""
        if self.running:
            self._end()
            self.cancelled.emit(self._left)

    def _end(self) -> None:
        """Let the next run begin; the work of this one stops if it is not done."""
        if self._job is not None:
            self._job.cancel()
        self._job = None
        self.changed.emit()

    def _on_progress(self, done: int, total: int) -> None:
        self._progress.update_to(done, total)

    def _on_succeeded(self, result: Any) -> None:
        raise NotImplementedError

    def _on_refused(self, sentence: str) -> None:
        self._end()
        self.refused.emit(sentence)

    def _on_crashed(self, error: Exception) -> None:
        self._end()
        self.crashed.emit(error)


class FileRun(Run):
    """A run that writes files, and goes on with them when it is begun again."""

    def _begin_in(self, output: Path, work: Work) -> None:
        """Begin a run that writes to `output`."""
        self._begin(
            work,
            promise="What is finished stays, and the next run goes on from there.",
            left=f"Cancelled. What was done until then is in {output}; start again to go on.",
        )
