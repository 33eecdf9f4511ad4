"""Work on a thread of its own, reported to the GUI thread through Qt signals.

Plain threads rather than napari's workers: those tell of progress and stop only where the work
yields, and napari warns when its window is closed while they run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QApplication

from napari_medt.engine.progress import IsCancelled, Progress
from napari_medt.errors import UserError, file_trouble, out_of_memory

if TYPE_CHECKING:
    from qtpy.QtCore import SignalInstance

Work = Callable[[Progress, IsCancelled], Any]

# A job must outlive whoever started it: its thread still emits through it.
_running: set[Job] = set()


class Job(QObject):
    """One piece of work.

    Its signals are emitted on the thread the job was made on. It ends with exactly one of
    `succeeded`, `refused` and `crashed`, or with none after :meth:`cancel`.

    Parameters
    ----------
    work : callable
        Called with ``(progress, is_cancelled)``; `progress` takes ``(done, total)``.
    """

    progressed = Signal(int, int)
    succeeded = Signal(object)  # what the work returned
    refused = Signal(str)  # a sentence for the user
    crashed = Signal(object)  # any other exception: a defect

    # From the job's thread to the thread the job lives on.
    _moved = Signal(int, int)
    _ended = Signal(object, object)

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self._cancelled = threading.Event()
        # Not a daemon: the interpreter waits for it, since torch must not be torn down in use.
        self._thread = threading.Thread(target=self._run, name="napari-medt")
        self._moved.connect(self._on_moved, Qt.ConnectionType.QueuedConnection)
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Start the thread."""
        _running.add(self)
        self._thread.start()

    def cancel(self) -> None:
        """Tell the thread to stop, and emit nothing more.

        The thread may still finish the batch it is at; nobody has to wait for that.
        """
        self._cancelled.set()

    def _run(self) -> None:
        try:
            self._ended.emit(self._work(self._moved.emit, self._cancelled.is_set), None)
        except Exception as error:
            self._ended.emit(None, error)

    def _on_moved(self, done: int, total: int) -> None:
        if not self._cancelled.is_set():
            self.progressed.emit(done, total)

    def _on_ended(self, result: Any, error: Exception | None) -> None:
        _running.discard(self)
        if self._cancelled.is_set():
            return
        if error is None:
            self.succeeded.emit(result)
        elif sentence := sentence_about(error):
            self.refused.emit(sentence)
        else:
            self.crashed.emit(error)


def sentence_about(error: Exception) -> str:
    """Say what the user can mend; empty for a defect."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (MemoryError, RuntimeError)) and out_of_memory(error):
        return "There is not enough memory: close other programs, or segment a smaller part."
    if isinstance(error, OSError):
        return file_trouble(error, advice="see to that, and start again")
    return ""


def run_job(
    owner: QObject,
    work: Work,
    *,
    progressed: Callable[[int, int], None],
    succeeded: Callable[[Any], None],
    refused: Callable[[str], None],
    crashed: Callable[[Exception], None],
) -> Job:
    """Start a job that is cancelled with its owner, or when the application quits."""
    job = Job(work)
    job.progressed.connect(progressed)
    job.succeeded.connect(succeeded)
    job.refused.connect(refused)
    job.crashed.connect(crashed)
    owner.destroyed.connect(job.cancel)
    if app := QApplication.instance():
        app.aboutToQuit.connect(job.cancel)
    job.start()
    return job


class NewestJob(QObject):
    """Runs one job at a time and, of those submitted meanwhile, only the newest for each thing.

    For work that follows a slider and cannot be cancelled half-way.
    """

    succeeded = Signal(object)
    refused = Signal(str)
    crashed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._about: Hashable = None
        self._waiting: dict[Hashable, Callable[[], Any]] = {}

    def submit(self, work: Callable[[], Any], about: Hashable = None) -> None:
        """Run `work` on a thing now, or when the running job is over."""
        if self._job is not None:
            self._waiting[about] = work
            return
        self._about = about
        self._job = Job(lambda _progress, _is_cancelled: work())
        self._job.succeeded.connect(self._on_succeeded)
        self._job.refused.connect(self._on_refused)
        self._job.crashed.connect(self._on_crashed)
        self._job.start()

    def is_at(self, about: Hashable) -> bool:
        """Whether work on a thing runs or waits; not any more while its signal is emitted."""
        return about in self._waiting or (self._job is not None and self._about == about)

    def _on_succeeded(self, result: Any) -> None:
        self._end(self.succeeded, result)

    def _on_refused(self, sentence: str) -> None:
        self._end(self.refused, sentence)

    def _on_crashed(self, error: Exception) -> None:
        self._end(self.crashed, error)

    def _end(self, signal: SignalInstance, value: Any) -> None:
        """Emit how a job ended, then go on with what waits."""
        self._about = None
        signal.emit(value)
        self._job = None
        if self._waiting:
            about = next(iter(self._waiting))
            self.submit(self._waiting.pop(about), about)
