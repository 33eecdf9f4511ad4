"""A run that writes files: begun, shown, cancelled and told of in one way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medt.gui.job import Job, Work, run_job
from napari_medt.gui.progress import RunProgress


class FileRun(QObject):
    """One run at a time; whoever has one says what it does and what comes of it.

    Parameters
    ----------
    progress : RunProgress
        Shows the run and can cancel it.
    parent : QWidget
        Owner of this object.
    """

    changed = Signal()  # a run began or ended
    said = Signal(str)
    refused = Signal(str)
    crashed = Signal(object)

    def __init__(self, progress: RunProgress, parent: QWidget) -> None:
        super().__init__(parent)
        self._progress = progress
        self._job: Job | None = None
        self._output = Path()
        progress.cancelled.connect(self.cancel)

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._job is not None

    def _begin(self, work: Work, output: Path) -> None:
        """Begin a run that writes to `output`, and goes on there when it is begun again."""
        self._output = output
        self.said.emit("")
        self._progress.begin("What is finished stays, and the next run goes on from there.")
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
        """Stop the run at once; what it finished stays."""
        if self._job is None:
            return
        self._job.cancel()
        self._end()
        self.said.emit(
            f"Cancelled. What was done until then is in {self._output}; start again to go on."
        )

    def _end(self) -> None:
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
