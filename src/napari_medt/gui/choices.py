"""The choices in the widget, each a small Qt widget of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from napari.layers import Image, Layer
from napari.utils.events import Event
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider, QLabeledSlider
from superqt.utils import signals_blocked

from napari_medt.errors import ModelError
from napari_medt.models.accuracy import reliability
from napari_medt.models.card import ModelCard, read_card
from napari_medt.models.store import bundled_cards
from napari_medt.network.config import Branches

if TYPE_CHECKING:
    import napari

BREAK = "\u200b"  # a space without width, at which a line may end
LOWEST, HIGHEST = 0.05, 0.95  # threshold at the slider's ends, unless a model's own is beyond
LARGEST_MIN_SIZE = 1000  # pixels, at the slider's end unless a model's own value needs more


class Note(QLabel):
    """An explaining sentence: no wider for long words, such as paths."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(1)
        self.setWordWrap(True)

    def setText(self, text: str | None) -> None:
        """Show a sentence, which may be wrapped within a path."""
        super().setText(re.sub(r"([/\\_-])", rf"\1{BREAK}", text or ""))

    def show_sentence(self, text: str) -> None:
        """Show a sentence, or take no room for an empty one."""
        self.setText(text)
        self.setVisible(bool(text))

    def text(self) -> str:
        """Return the sentence."""
        return super().text().replace(BREAK, "")


class Box(QComboBox):
    """A box to choose from: long names do not widen it, and scrolling past chooses nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(self.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the mouse wheel to what the box lies in."""
        if event:
            event.ignore()


class ImageChoice(Box):
    """The image to segment: follows the layer list and prefers the active image."""

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self.setToolTip("The image layer to segment.")
        self.setAccessibleName("Image")
        self.setPlaceholderText("Open an image first")
        self._viewer = viewer
        self.currentIndexChanged.connect(self.changed)
        for emitter in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, emitter).connect(self._on_layers)
        viewer.layers.events.connect(self._on_any)
        viewer.layers.selection.events.active.connect(self._on_active)
        self._on_layers()

    @property
    def image(self) -> Image | None:
        """The chosen layer."""
        return cast("Image | None", self.currentData())

    def _on_layers(self) -> None:
        chosen, active = self.image, self._viewer.layers.selection.active
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        with signals_blocked(self):
            self.clear()
            for image in images:
                self.addItem(image.name, image)
            wanted = [image for image in (chosen, active) if image in images] or images[-1:]
            self.setCurrentIndex(images.index(wanted[0]) if wanted else -1)
        if self.image is not chosen:
            self.changed.emit()

    def _on_any(self, event: Event) -> None:
        if event.type == "name":  # of a layer; napari before 0.7 has no event of the list for it
            self._on_layers()

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer, if it is an image in the viewer."""
        for index in range(self.count()):
            if self.itemData(index) is layer:
                self.setCurrentIndex(index)

    def _on_active(self, event: Event) -> None:
        self.choose(event.value)


class ModelChoice(QWidget):
    """The model: a bundled one or a folder of the user's own, and what it is for."""

    changed = Signal()
    refused = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._box, self._purpose = Box(), Note()
        self._box.setAccessibleName("Model")
        self.setFocusProxy(self._box)
        self.settled = False  # whether the user has chosen; then suggestions are ignored
        self._open = QPushButton("Open model folder...")
        self._open.setToolTip("Use a model of your own: a folder with card.json and weights.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self._box, self._purpose, self._open):
            layout.addWidget(part)
        self._box.currentIndexChanged.connect(self._on_chosen)
        self._box.activated.connect(self._settle)
        self._open.clicked.connect(self.ask_for_folder)

    @property
    def card(self) -> ModelCard | None:
        """Card of the chosen model."""
        data = self._box.currentData()
        return data[1] if data else None

    @property
    def reference(self) -> str | None:
        """Name or path to load the chosen model by."""
        data = self._box.currentData()
        return data[0] if data else None

    def load_bundled(self) -> None:
        """List the models that came with the plugin."""
        try:
            for name, card in bundled_cards().items():
                self._box.addItem(card.name, (name, card))
        except ModelError as error:
            self.refused.emit(str(error))
        self._on_chosen()

    def suggest(self, name: str) -> None:
        """Choose a bundled model for a user who has not chosen one."""
        if not self.settled:
            self.show_listed(name)

    def lists(self, reference: str) -> bool:
        """Whether a model can be chosen from the list."""
        return reference in self._references()

    def show_listed(self, reference: str) -> None:
        """Choose a listed model, without counting that as a choice of the user."""
        if self.lists(reference):
            self._box.setCurrentIndex(self._references().index(reference))

    def choose(self, reference: str) -> None:
        """Choose a listed model by its name, or open a model folder."""
        if self.lists(reference):
            self._settle()
            self.show_listed(reference)
        else:
            self.open_folder(reference)

    def ask_for_folder(self) -> None:
        """Let the user pick a model folder."""
        folder = QFileDialog.getExistingDirectory(self, "Open model folder")
        if folder:
            self.open_folder(folder)

    def open_folder(self, folder: str | Path) -> None:
        """Add the model in `folder` and choose it."""
        try:
            card = read_card(Path(folder))
        except ModelError as error:
            self.refused.emit(str(error))
            return
        self._settle()
        if str(folder) in self._references():  # opened before, perhaps trained again since
            self._box.removeItem(self._references().index(str(folder)))
        self._box.addItem(card.name, (str(folder), card))
        self._box.setCurrentIndex(self._box.count() - 1)

    def _settle(self) -> None:
        self.settled = True

    def _references(self) -> list[str]:
        return [self._box.itemData(index)[0] for index in range(self._box.count())]

    def _on_chosen(self) -> None:
        card = self.card
        self._purpose.setText(card.purpose if card else "No model is installed.")
        facts = (card.limits, reliability(card.accuracy)) if card else ()
        for part in (self._box, self._purpose):
            part.setToolTip("\n".join(filter(None, facts)))
        self.changed.emit()


class BranchChoice(QWidget):
    """The two branches of MedT. At least one stays on."""

    def __init__(self) -> None:
        super().__init__()
        self._global = QCheckBox("Global branch (whole field)")
        self._patch = QCheckBox("Patch branch (fine detail)")
        self._note = Note()
        self._global.setToolTip("Sees how things lie across the field of view. Fast on its own.")
        self._patch.setToolTip("Looks closely at small patches, for exact outlines. Slower.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self._global, self._patch, self._note):
            layout.addWidget(part)
        for box in (self._global, self._patch):
            box.setChecked(True)
            box.toggled.connect(self._on_toggled)
        self._note.show_sentence("")

    @property
    def branches(self) -> Branches:
        """The chosen setting."""
        if self._global.isChecked() == self._patch.isChecked():
            return "both"
        return "global" if self._global.isChecked() else "patch"

    def show_model(self, card: ModelCard | None) -> None:
        """Offer the branches only where the model has two."""
        single = card is not None and not card.has_branches
        for box in (self._global, self._patch):
            box.setEnabled(not single)
            if single:
                box.setChecked(True)
        self._note.show_sentence(
            "This model has a single branch, so there is nothing to switch." * single
        )

    def _on_toggled(self) -> None:
        self._note.show_sentence("")
        if not (self._global.isChecked() or self._patch.isChecked()):
            cast(QCheckBox, self.sender()).setChecked(True)
            self._note.show_sentence(
                "One branch must stay on: with none there is nothing to segment with."
            )


class LabelSettings(QWidget):
    """How labels are made from probabilities: threshold and minimum size."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self._threshold.setSingleStep(0.01)  # type: ignore[arg-type]  # typed as QSlider's
        self._min_size = QLabeledSlider(Qt.Orientation.Horizontal)
        self._min_size.setRange(0, LARGEST_MIN_SIZE)
        self._threshold.setToolTip("Higher: the outlines shrink. Lower: they grow.")
        self._min_size.setToolTip("Objects of fewer pixels are left out.")
        self.note = Note()  # below the sliders
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        rows = (("Threshold", self._threshold), ("Minimum size (px)", self._min_size))
        for name, slider in rows:
            layout.addRow(name, slider)
            slider.valueChanged.connect(self.changed)
            for part in slider.findChildren(QWidget):  # which get the keyboard
                part.setAccessibleName(name)
        layout.addRow(self.note)
        self.show_values(0.5, 0)
        self.note.show_sentence("")

    @property
    def threshold(self) -> float:
        """Foreground probability from which a pixel is labelled."""
        return round(float(self._threshold.value()), 3)

    @property
    def min_size(self) -> int:
        """Pixels of the smallest object that is kept."""
        return int(self._min_size.value())

    def show_values(self, threshold: float, min_size: int) -> None:
        """Move the sliders without emitting a signal."""
        with signals_blocked(self):
            self._threshold.setRange(min(LOWEST, threshold), max(HIGHEST, threshold))
            self._min_size.setMaximum(max(LARGEST_MIN_SIZE, 4 * min_size))
            self._threshold.setValue(threshold)
            self._min_size.setValue(min_size)
