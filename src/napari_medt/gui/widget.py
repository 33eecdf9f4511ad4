"""The dock widget: choose an image and a model, click Segment, correct the mask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QGridLayout,
    QGroupBox,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_medt.engine.record import BatchSettings
from napari_medt.engine.region import Scope
from napari_medt.engine.source import Level
from napari_medt.errors import ImageError, ModelError, UserError
from napari_medt.gui.choices import BranchChoice, ImageChoice, LabelSettings, ModelChoice
from napari_medt.gui.fit import FitNote
from napari_medt.gui.folder import FolderRun
from napari_medt.gui.job import NewestJob
from napari_medt.gui.layers import LARGEST, mm_per_pixel
from napari_medt.gui.mask import Mask
from napari_medt.gui.maskrun import MaskRun
from napari_medt.gui.masks import masks_in
from napari_medt.gui.message import Message
from napari_medt.gui.outcome import Outcome, corrected_in_words, relabel
from napari_medt.gui.progress import RunProgress
from napari_medt.gui.request import Request
from napari_medt.gui.scope import ScopeChoice
from napari_medt.gui.scrolled import Scrolled
from napari_medt.gui.slide import SlideRequest, SlideRun

if TYPE_CHECKING:
    import napari

EDITS_WAIT = 300  # ms after an edit until a mask is counted again
SEGMENT_STYLE = """
QPushButton {font-size: 16px; font-weight: bold; padding: 10px}
QPushButton:enabled {background-color: #3d5fc9; color: white}
QPushButton:enabled:hover {background-color: #5574da}
"""
EDITED = (
    "You have edited this mask, so the sliders leave it alone. They count for the next Segment."
)
FIXED = (
    "This mask was put together from parts or is very large, so the sliders leave it alone. They "
    "count for the next Segment."
)
OTHERS = (
    "The selected layer is a copy, from a file, or your own, so the sliders leave it alone. They "
    "count for the next Segment."
)
UNLIKE = (
    "The selected mask is of another image or model than those chosen above, so the sliders leave "
    "it alone. They count for the next Segment."
)
GONE = (
    "The image of this mask is gone or has changed, so the sliders leave it alone. They count for "
    "the next Segment."
)


class SegmentWidget(QWidget):
    """Segments one image at a time into an editable Labels layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer the widget is docked in, or napari's proxy of it.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        # To a widget that is opened by its plugin's name, as in the demo, napari hands a proxy. Of
        # a layer that gives a new proxy each time, and none of them is the layer.
        viewer: napari.Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = viewer
        self._relabelling, self._counting = NewestJob(self), NewestJob(self)
        self._corrected: Mask | None = None
        self._counted: str | None = None
        self._waiting = False  # whether Segment was clicked, and starts once a model is suggested
        self._ahead = False  # whether the sliders are set for the next Segment
        self._edits = QTimer(self)
        self._edits.setSingleShot(True)
        self._edits.setInterval(EDITS_WAIT)
        self._masks = masks_in(viewer)
        self.image = ImageChoice(viewer)
        self.scope = ScopeChoice(viewer)
        self.model = ModelChoice()
        self.fit = FitNote()
        self.branches = BranchChoice()
        self.segment = QPushButton("Segment")
        self.progress = RunProgress()
        self.run = MaskRun(viewer, self.progress, self)
        self.slide = SlideRun(viewer, self.progress, self)
        self.folder = FolderRun(self.progress, self._folder_choices, self)
        self._runs = (self.run, self.slide, self.folder)
        self.message = Message(viewer)
        self.settings = LabelSettings()
        self._build()
        self._connect()
        self.model.load_bundled()
        self._follow_selected()
        self._look()

    def _build(self) -> None:
        self._choices = QWidget()
        # A grid, since a form layout cuts off sentences that wrap.
        grid = QGridLayout(self._choices)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        rows = (
            ("Image", self.image),
            ("", self.scope),
            ("Model", self.model),
            ("", self.fit),
            ("Branches", self.branches),
        )
        for row, (name, part) in enumerate(rows):
            grid.addWidget(part, row, 1)
            if name:  # an empty label would keep the row open where nothing is in it
                label = QLabel(name)
                label.setBuddy(part)
                grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        adjust = QGroupBox("How the mask is made")
        QVBoxLayout(adjust).addWidget(self.settings)
        self.segment.setStyleSheet(SEGMENT_STYLE)
        self.segment.setToolTip("Make a mask of the image. Masks you have edited are kept.")
        layout = QVBoxLayout(self)
        button = self.folder.button
        # What starts and stops a run, and what is said, stay in sight.
        layout.addWidget(Scrolled(self._choices))
        for part in (self.segment, button, self.progress, self.message, adjust):
            layout.addWidget(part)
        layout.addStretch()
        # napari 0.9 squeezes docked widgets that have another policy.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # napari gets the keys pressed then

    def _connect(self) -> None:
        message = self.message
        self.image.changed.connect(self._on_choice)
        self.image.changed.connect(self._look)
        self.scope.changed.connect(self._look)
        for signal in (self.scope.changed, self.scope.narrowed):
            signal.connect(self._forget_try)
        self.model.changed.connect(self._on_choice)
        self.model.refused.connect(message.refuse)
        self.fit.found.connect(self.model.suggest)
        self.fit.looked.connect(self._on_looked)
        self.fit.crashed.connect(message.report)
        self.segment.clicked.connect(self.start)
        for run in self._runs:
            run.changed.connect(self._refresh)
            run.said.connect(message.say)
            run.crashed.connect(message.report)
        self.run.landed.connect(self._on_landed)
        self.run.cancelled.connect(message.say_of_try)
        self.run.refused.connect(message.refuse_try)
        for files in (self.slide, self.folder):
            files.cancelled.connect(message.say)
            files.refused.connect(message.refuse)
        self.settings.changed.connect(self._on_settings)
        self._masks.changed.connect(self._refresh)
        self._masks.changed.connect(self._tell_of_chosen)
        self._masks.edited.connect(self._on_edited)
        self._masks.rewritten.connect(self._on_rewritten)
        self._edits.timeout.connect(self._count_again)
        self._counting.succeeded.connect(self._on_counted)
        self._relabelling.succeeded.connect(self._on_relabelled)
        for job in (self._counting, self._relabelling):
            job.refused.connect(message.refuse)
            job.crashed.connect(message.report)
        for failed in (self._relabelling.refused, self._relabelling.crashed):
            failed.connect(self._refresh)
        self._viewer.layers.selection.events.active.connect(self._follow_selected)

    # What is shown

    @property
    def _idle(self) -> bool:
        return not any(run.running for run in self._runs)

    def _refresh(self) -> None:
        """Enable what can be used now."""
        idle, mask = self._idle, self._mask()
        self._keep_focus(idle)
        self._choices.setEnabled(idle)
        self.segment.setEnabled(idle)
        self.folder.button.setEnabled(idle)
        self.progress.setVisible(not idle)
        self.settings.setEnabled(idle)
        why = self._why_left_alone(mask)
        self.settings.note.show_sentence(why)
        if mask is None or why:  # the sliders are for the next run
            return
        self._ahead = self._ahead and mask is not self._masks.selected()
        if not self._ahead:
            self._show_settings_of(mask)

    def _keep_focus(self, idle: bool) -> None:
        """Take the keyboard from a part that is about to be disabled or hidden.

        Qt would hand it on to the button that hides the panel, which Space, napari's key for moving
        the image, would then press.
        """
        focused = QApplication.focusWidget()
        if focused is None or not self.isAncestorOf(focused):
            return
        if not idle or self.progress.isAncestorOf(focused):
            self.setFocus()

    def _show_settings_of(self, mask: Mask) -> None:
        """Show what a mask was made with, or what it is being made with."""
        made = mask.outcome.provenance
        values = (made["threshold"], made["min_size"])
        if self._relabelling.is_at(mask):
            values = mask.asked
        if values != (self.settings.threshold, self.settings.min_size):  # else one is being moved
            self.settings.show_values(*values)

    def _on_choice(self) -> None:
        self._forget_try()
        self._ahead = False
        card = self.model.card
        self.scope.show_image(self.image.image)
        self.branches.show_model(card)
        self.fit.show_model(card)
        if card is not None:
            self.settings.show_values(card.threshold, card.min_size)
        if (mask := self._mask()) is not None:
            self._show_settings_of(mask)
        self._tell_of_chosen()
        self._refresh()

    def _look(self) -> None:
        """Compare a newly chosen image with what the models were trained on."""
        if self._waiting:
            self._waiting = False
            self.message.say("")  # Segment has to be clicked again
        try:
            self.fit.look_at(self.scope.middle_plane() if self.image.image else None)
        except ImageError:
            self.fit.look_at(None)  # Segment says why

    def _on_looked(self) -> None:
        if self._waiting:
            self.start()

    # A run

    def start(self) -> None:
        """Segment the chosen image with the chosen model, or the one that is about to be found."""
        if not self._idle:
            return
        self._waiting = self.fit.looking and not self.model.settled
        if self._waiting:
            self.message.say("Looking at the image, to find the model for it...")
            return
        try:
            image, model = self._chosen_image(), self._chosen_model()
            scope, levels = self.scope.scope(), self.scope.levels
            if levels is not None and scope.region is None:
                self._stream(image, model, levels)
                return
            request = self._request(image, model, scope, levels)
        except UserError as error:
            self.message.refuse_try(str(error))
            return
        self._counted = None
        mixed = frozenset(layer.unique_id for layer in self.scope.added)
        self.run.start(image, request, mixed)

    def _chosen_image(self) -> Image:
        if self.image.image is None:
            raise ImageError("There is no image to segment: open one first.")
        return self.image.image

    def _chosen_model(self) -> str:
        if self.model.reference is None:
            raise ModelError("There is no model to segment with: open a model folder first.")
        return self.model.reference

    def _folder_choices(self) -> tuple[str, BatchSettings]:
        model, settings = self._chosen_model(), self.settings
        return model, BatchSettings(self.branches.branches, settings.threshold, settings.min_size)

    def _stream(self, image: Image, model: str, levels: list[Level]) -> None:
        """Segment a large image as a whole into a file, unless the user names none."""
        output = self.slide.ask_for_output(image)
        if output is None:
            return
        chosen = self.branches.branches, self.settings.threshold, self.settings.min_size
        self.slide.start(image, SlideRequest(levels, output, model, *chosen))

    def _request(
        self, image: Image, model: str, scope: Scope, levels: list[Level] | None
    ) -> Request:
        """Gather what is chosen; `levels` are those of an image too large to hold."""
        return Request(
            image=None if levels is not None else self.scope.data,
            levels=levels,
            rgb=self.scope.rgb,
            scope=scope,
            model=model,
            branches=self.branches.branches,
            threshold=self.settings.threshold,
            min_size=self.settings.min_size,
            link=self.scope.link,
            mm_per_pixel=mm_per_pixel(image),
        )

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop everything once napari closes the dock: it puts the widget out of it and lets go.

        A tab that is behind others, or a dock that floats, still holds the widget.
        """
        super().changeEvent(event)
        closed = event is not None and event.type() == QEvent.Type.ParentChange
        if closed and self.parent() is None:
            for run in self._runs:
                run.cancel()
            self.deleteLater()  # napari would never show it again

    def _forget_try(self) -> None:
        """Take back why there is no mask, once something else is chosen."""
        if self.message.of_try:
            self.message.say("")
            self._tell_of_chosen()

    def _on_landed(self, sentence: str, mask: Mask) -> None:
        self._ahead = False
        self._edits.stop()  # what was laid into a mask is no correction to be counted
        self.message.say(sentence, mask)
        self._refresh()

    # The mask

    def _mask(self) -> Mask | None:
        """Return the mask that the sliders are for: the selected one, or that of the chosen image.

        None while other labels are selected, or a mask of another image or model than the chosen
        ones, so that no mask changes that the user does not look at.
        """
        if self._masks.others_selected():
            return None
        chosen, mask = (self.image.image, self.model.reference), self._masks.selected()
        if mask is None:
            return self._masks.newest(*chosen)
        # A model that another widget opened cannot be chosen here.
        model = mask.model if self.model.lists(mask.model) else chosen[1]
        return mask if mask.image is None or chosen == (mask.image, model) else None

    def _why_left_alone(self, mask: Mask | None) -> str:
        """Say why the sliders leave what is selected alone; empty where they do not."""
        if self._masks.others_selected():
            return OTHERS
        if mask is None and self._masks.selected() is not None:
            return UNLIKE
        return why_left_alone(mask)

    def _follow_selected(self) -> None:
        mask = self._masks.selected()
        if mask is not None:
            self._forget_try()
        if mask is not None and mask.image is not None:
            self.image.choose(mask.image)
            self.model.show_listed(mask.model)
        self._tell_of_chosen()
        self._refresh()

    def _tell_of_chosen(self) -> None:
        """Replace what the message says of one mask by what there is to say of the chosen one.

        A message about no mask stays, and so does any message during a run.
        """
        mask = self._mask()
        other = self.message.about is None and bool(self.message.text())
        if mask is self.message.about or other or self.run.running:
            return
        self._counted = None
        if mask is None or mask.words:
            self.message.say(f"{mask.words}." if mask else "", mask)
            return
        self.message.say("")
        self._count(mask)

    def _on_settings(self) -> None:
        mask = self._mask()
        self._ahead = mask is None or bool(why_left_alone(mask)) or mask.is_edited()
        if mask is None:
            return
        if self._ahead:
            self._refresh()
            return
        mask.asked = (self.settings.threshold, self.settings.min_size)
        self._relabelling.submit(partial(relabel_mask, mask, *mask.asked), about=mask)

    def _on_relabelled(self, made: tuple[Mask, Outcome, Outcome]) -> None:
        self._masks.rewrite(*made)
        self._refresh()  # the sliders go back where it was not rewritten

    def _on_rewritten(self, mask: Mask) -> None:
        # Perhaps with the sliders of another widget.
        if mask is self._mask() and not self.run.running:
            self.message.say(f"{mask.outcome.words}.", mask)
        self._refresh()

    def _on_edited(self, mask: Mask) -> None:
        # Showing another plane is announced like undo, even for masks that are not selected.
        if mask.layer is self._viewer.layers.selection.active:
            self._corrected = mask
            self._edits.start()

    def _count_again(self) -> None:
        # Runs that write files leave masks alone, which can be painted meanwhile.
        mask = self._corrected
        if mask is not None and mask is self._masks.selected() and not self.run.running:
            self._count(mask)

    def _count(self, mask: Mask) -> None:
        self.message.about = mask
        self._counting.submit(partial(count_mask, mask))

    def _on_counted(self, counted: tuple[Mask, str]) -> None:
        mask, sentence = counted
        # Only what is new, since other messages stay when another plane is shown.
        if sentence and sentence != self._counted and mask is self.message.about:
            self._counted = sentence
            self.message.say(sentence, mask)


def relabel_mask(mask: Mask, threshold: float, min_size: int) -> tuple[Mask, Outcome, Outcome]:
    """Make the labels of a mask with other settings: the mask, the outcome before and after."""
    base = mask.outcome
    if not base.adjustable:  # edited, or its image gone, while this waited for its turn
        return mask, base, base
    return mask, base, relabel(base, threshold, min_size, mask.mm_per_pixel)


def count_mask(mask: Mask) -> tuple[Mask, str]:
    """Say what a mask holds now; empty for one so large that counting takes long."""
    labels = mask.labels
    if labels.size > LARGEST or labels.shape != mask.outcome.written.shape:
        return mask, ""
    words = corrected_in_words(labels, mask.outcome, mask.mm_per_pixel)
    return mask, f"As corrected: {words}." if mask.painted else f"{words}."


def why_left_alone(mask: Mask | None) -> str:
    """Say why the sliders leave a mask alone; empty if they do not, or it is not yet known."""
    if mask is None:
        return ""
    if mask.image is None:
        return GONE
    if mask.painted:
        return EDITED
    return "" if mask.outcome.adjustable else FIXED
