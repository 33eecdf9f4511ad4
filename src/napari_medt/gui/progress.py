"""How far a run is, how long it will still take, and the button that stops it."""

from __future__ import annotations

import time

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget


class RunProgress(QWidget):
    """Progress bar, time left and Cancel; shown only during a run."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar, self.text = QProgressBar(), QLabel()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress")
        self._cancel = QPushButton("Cancel")
        self._cancel.clicked.connect(self.cancelled)
        self._start, self._first, self._speed = 0.0, -1, 0.0
        row = QHBoxLayout()
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self._cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.text)
        self.hide()

    def begin(self, left: str, tiles_per_second: float = 0.0) -> None:
        """Show a run that has not reported any progress yet.

        Parameters
        ----------
        left : str
            What Cancel leaves behind, as a sentence.
        tiles_per_second : float
            Its speed; 0 where that is unknown.
        """
        self._cancel.setToolTip(f"Stop at once. {left}")
        self._first, self._speed = -1, tiles_per_second
        self.bar.setRange(0, 0)
        self.text.setText("Loading the model...")
        self.show()

    def update_to(self, done: int, total: int) -> None:
        """Show that `done` of `total` tiles are finished; the first call sets the clock."""
        if self._first < 0 or done == 0:
            self._start, self._first = time.monotonic(), done
        self.bar.setRange(0, total if total > 1 else 0)
        self.bar.setValue(done)
        elapsed = time.monotonic() - self._start
        # Tiles of an earlier run, which took no time, do not count for the speed.
        first = self._first if done < total else 0
        self.text.setText(time_left(done - first, total - first, elapsed, self._speed))


def time_left(done: int, total: int, elapsed: float, tiles_per_second: float = 0.0) -> str:
    """Say in words how long `total` tiles will still take when `done` took `elapsed` seconds.

    Before the first one is done, the measured speed of the machine tells, unless it is 0.
    """
    if done == total:
        return "Making the mask..."
    if done == 0 and not tiles_per_second:
        return "Segmenting..."
    seconds = elapsed / done * (total - done) if done else total / tiles_per_second
    if seconds < 1:
        return "Segmenting: less than a second left"
    if seconds < 90:
        return f"Segmenting: about {seconds:.0f} s left"
    return f"Segmenting: about {seconds / 60:.0f} min left"
