"""Which part of the image is segmented: its axes in words, channel, planes and region."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.events import EventEmitter
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_medt.engine.axes import Axes, Frame, count
from napari_medt.engine.region import Region, Scope
from napari_medt.engine.source import Level, read_plane
from napari_medt.errors import ImageError
from napari_medt.gui.channels import ChannelMenu
from napari_medt.gui.choices import Box, Note
from napari_medt.gui.layers import (
    axes_of,
    is_slide,
    mixed,
    shown_data,
    slide_levels,
)
from napari_medt.gui.view import shapes_region, shown_channel, shown_frame, view_region

if TYPE_CHECKING:
    import napari

WHOLE, VIEW, SHAPES = "Whole image", "In the window", "Inside the shapes"


class ScopeChoice(QWidget):
    """Shows how the axes of the image are understood, and lets the user correct that.

    Only choices that the image leaves open are shown.

    Parameters
    ----------
    viewer : napari.Viewer
        Knows which plane and part is shown, and the shapes.
    """

    changed = Signal()  # other pixels are to be segmented
    narrowed = Signal()  # more or fewer of the same pixels are

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._image: Image | None = None
        self._words = Note()
        self._axis, self._channel, self._planes, self._region = Box(), Box(), Box(), Box()
        self._link = QCheckBox("One number per object through all slices")
        self._channels = ChannelMenu(viewer.layers)
        self._build()
        self._axis.currentIndexChanged.connect(self._on_axis)
        self._channel.currentIndexChanged.connect(self._describe)
        for box in (self._axis, self._channel):
            box.currentIndexChanged.connect(self.changed)
        self._planes.currentIndexChanged.connect(self._describe)
        for box in (self._planes, self._region):
            box.currentIndexChanged.connect(self.narrowed)
        self._channels.changed.connect(self._describe)
        self._channels.changed.connect(self.changed)
        for emitter in ("current_step", "order", "ndisplay"):
            getattr(viewer.dims.events, emitter).connect(self._on_view)

    def _build(self) -> None:
        self._axis.setToolTip("Which axis of the image holds its channels.")
        self._channel.setToolTip("The channel to segment.")
        self._link.setToolTip("Outlines that overlap from slice to slice are one object in 3-D.")
        self._region.addItems([WHOLE, VIEW, SHAPES])
        self._region.setToolTip(
            "Labels outside are left as they are. With all planes, every shape counts on all of "
            "them; with the plane that is shown, only the shapes drawn on it."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._words)
        form = QFormLayout()
        layout.addLayout(form)
        self._labels: dict[QWidget, QLabel] = {}
        rows = {
            "Channels along": self._axis,
            "Channel": self._channel,
            "Planes": self._planes,
            "Where": self._region,
        }
        for name, box in rows.items():
            self._labels[box] = QLabel(name)
            form.addRow(self._labels[box], box)
        for part in (self._link, self._channels):
            layout.addWidget(part)

    # What was chosen

    @property
    def _axes(self) -> Axes:
        """The axes of the image: as guessed, or as the user says."""
        axis = self._axis.currentData()
        same = axis == self._guess.channel_axis
        return self._guess if same else self._guess.with_channels(axis)

    @property
    def added(self) -> list[Image]:
        """Layers to be mixed with the image."""
        return self._channels.chosen

    @property
    def data(self) -> Any:
        """The array to segment.

        Raises
        ------
        ImageError
            With one sentence for the user.
        """
        assert self._image is not None
        return mixed([self._image, *self.added]) if self.added else shown_data(self._image)

    @property
    def levels(self) -> list[Level] | None:
        """The resolutions of an image that is too large to hold; None for others.

        Raises
        ------
        ImageError
            With one sentence for the user.
        """
        return None if self._image is None or self.added else slide_levels(self._image)

    @property
    def rgb(self) -> bool:
        """Whether :attr:`data` has a colour axis."""
        return bool(self.added) or (self._image is not None and self._image.rgb)

    @property
    def link(self) -> bool:
        """Whether objects are linked across slices."""
        return self._link.isChecked() and not self._link.isHidden()

    def scope(self) -> Scope:
        """Return what to segment, as chosen and shown now.

        Raises
        ------
        ImageError
            With one sentence for the user.
        """
        assert self._image is not None
        frames, shown = tuple(self._axes.frames()), None
        if self._planes.currentIndex() == 1:
            shown = shown_frame(self._image, self._axes, self._viewer)
            frames = (shown,)
        return Scope(self._axes, frames, self._channel.currentData(), self._find_region(shown))

    def middle_plane(self) -> Callable[[], Any]:
        """Return a function that reads the middle plane, or a typical part of a large one.

        Raises
        ------
        ImageError
            With one sentence for the user.
        """
        levels = self.levels
        if levels is not None:
            return partial(read_typical, levels)
        frames = self._axes.frames()
        if not frames:
            raise ImageError("The image has no planes: there is nothing to segment.")
        middle, channel = frames[len(frames) // 2], self._channel.currentData()
        return partial(read_plane, self._axes, self.data, middle, channel)

    def _find_region(self, shown: Frame | None) -> Region | None:
        assert self._image is not None
        where = self._region.currentText()
        if where == VIEW:
            return view_region(self._image, self._viewer)
        if where != SHAPES:
            return None
        return shapes_region(self._image, self._viewer, self._axes, shown)

    # What is shown

    def show_image(self, image: Image | None) -> None:
        """Offer the choices for a layer."""
        if image is self._image and image is not None:
            return
        for emitter in self._emitters():
            emitter.disconnect(self._on_image)
        self._image = image
        for emitter in self._emitters():
            emitter.connect(self._on_image)
        self.setVisible(image is not None)
        self._channels.show_image(image)
        if image is not None:
            self._read_axes(image)

    def _emitters(self) -> list[EventEmitter]:
        """The events of other pixels, or of other names for the axes."""
        image = self._image
        return [] if image is None else [image.events.data, image.events.axis_labels]

    def _on_image(self) -> None:
        if self._image is not None and axes_of(self._image) != self._guess:
            self._channels.show_image(self._image)
            self._read_axes(self._image)
        self.changed.emit()

    def _read_axes(self, image: Image) -> None:
        self._guess = axes_of(image)
        with signals_blocked(self._axis):
            self._axis.clear()
            self._axis.addItem("no axis", None)
            for axis, length in enumerate(self._guess.shape[:-2]):
                name = image.axis_labels[axis]
                self._axis.addItem(f"axis {name} ({length} long)", axis)
            self._axis.setCurrentIndex(self._axis.findData(self._guess.channel_axis))
        self._show(self._axis, image.ndim > 2 and not image.rgb)
        self._on_axis()

    def _on_axis(self) -> None:
        frames = self._axes.frames()
        with signals_blocked(self._channel), signals_blocked(self._planes):
            self._channel.clear()
            for number in range(self._axes.channels):
                self._channel.addItem(f"{number + 1}", number)
            if self._axes.channels > 1:
                self._channel.addItem("the first three, as red, green and blue", None)
            self._channel.setCurrentIndex(self._shown_channel() or 0)
            self._planes.clear()
            self._planes.addItems([f"All {len(frames)} planes", "The one shown"])
        self._show(self._channel, self._axes.channels > 1)
        self._show(self._planes, len(frames) > 1)
        self._describe()

    def _shown_channel(self) -> int | None:
        assert self._image is not None
        return shown_channel(self._image, self._axes, self._viewer)

    def _describe(self) -> None:
        channel, shown = self._channel.currentData(), self._shown_channel()
        text = self._axes.describe(rgb=self.rgb, channel=channel)
        if None not in (channel, shown):  # in words, since napari's sliders count from 0
            text += ", the one shown" if channel == shown else ", not the one shown"
        if self.added:
            text += f", mixed from {count(1 + len(self.added), 'layer')}"
        if self._image is not None and is_slide(self._image):
            text += ". It is large: as a whole its labels stream into a file, without being held."
        self._words.setText(text)
        sliced = "slice" in [self._axes.roles[axis] for axis in self._axes.stacked]
        whole = self._planes.currentIndex() == 0
        self._link.setVisible(sliced and whole and len(self._axes.frames()) > 1)

    def _show(self, box: Box, visible: bool) -> None:
        box.setVisible(visible)
        self._labels[box].setVisible(visible)

    def _on_view(self) -> None:
        if self._image is not None:
            self._describe()


def read_typical(levels: list[Level]) -> Any:
    """Read a part of a large image with much to see; on a worker thread, since it needs torch."""
    from napari_medt.engine.overview import typical_field

    return typical_field(levels)
