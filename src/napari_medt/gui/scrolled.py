"""A part of the widget that scrolls where the window is too small."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QScrollArea, QSizePolicy, QWidget

LEAST_HEIGHT = 100  # pixels


class Scrolled(QScrollArea):
    """As tall as its content; scrolls where there is less room.

    Parameters
    ----------
    inside : QWidget
        What it holds. Its sentences wrap, so its height follows from its width.
    """

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self._inside = inside
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setStyleSheet("QScrollArea {border: none; padding: 0}")  # a frame would cut it short
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def sizeHint(self) -> QSize:
        """The height of all content, at its width without a scroll bar."""
        least = self._inside.minimumSizeHint()
        height = self._inside.heightForWidth(max(self.width(), least.width()))
        wide = max(self._width(), self._inside.sizeHint().width())
        return QSize(wide, max(height, least.height()))

    def minimumSizeHint(self) -> QSize:
        """Wide enough that nothing is cut off."""
        return QSize(self._width(), LEAST_HEIGHT)

    def _width(self) -> int:
        bar, least = self.verticalScrollBar(), self._inside.minimumSizeHint().width()
        return least + bar.sizeHint().width() if bar and bar.isVisible() else least

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask for another height when the content changes."""
        if event and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self.updateGeometry()
        return super().eventFilter(watched, event)
