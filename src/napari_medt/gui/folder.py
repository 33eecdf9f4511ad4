"""A folder of images at once: the button, the question where, and the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_medt.engine.progress import STEPS, IsCancelled, Progress
from napari_medt.engine.record import BatchSettings
from napari_medt.engine.summary import SUMMARY_FILE, Result, failures, in_words
from napari_medt.errors import UserError
from napari_medt.gui.loading import import_engine
from napari_medt.gui.progress import RunProgress
from napari_medt.gui.run import FileRun

NAMED_FAILURES = 5  # in the widget; the table has all
BRANCHES_IN_WORDS = {"both": "all branches", "global": "global branch", "patch": "patch branch"}
MOST_CHANNELS = 99  # to choose from: no image is open yet that could tell how many there are


@dataclass(frozen=True)
class FolderRequest:
    """What was chosen when the run was started.

    Attributes
    ----------
    images, output : Path
        Folders: of the images, and for the results.
    model : str
        Name of a bundled model, or the path of a folder.
    settings : BatchSettings
        How images are segmented.
    """

    images: Path
    output: Path
    model: str
    settings: BatchSettings


def segment_folder(
    request: FolderRequest, progress: Progress, is_cancelled: IsCancelled
) -> list[Result]:
    """Segment the images of a folder; a :class:`~napari_medt.gui.job.Job`.

    Raises
    ------
    UserError
        With one sentence for the user, if nothing can be done.
    Cancelled
        If `is_cancelled` said so.
    """
    import_engine()
    from napari_medt.engine.batch import Batch
    from napari_medt.engine.inputs import find_items
    from napari_medt.models.store import load_model

    items = find_items([request.images])
    batch = Batch(load_model(request.model), request.output, request.settings)
    return batch.run(items, progress, is_cancelled)


class FolderDialog(QDialog):
    """Asks for the folder of the images and the folder for their labels.

    Parameters
    ----------
    parent : QWidget
        What it belongs to.
    choices : str
        The model and settings that the images are segmented with, in words.
    """

    chosen = Signal(Path, Path, bool, int)  # images, labels, link, channel from 0

    def __init__(self, parent: QWidget, choices: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Segment a folder")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._images, self._labels = QLineEdit(), QLineEdit()
        self._link = QCheckBox("One number per object through all slices of a volume")
        self._choices = QLabel(choices)
        self._choices.setWordWrap(True)
        self._channel = QSpinBox()
        self._channel.setRange(1, MOST_CHANNELS)
        self._channel.setToolTip("Which one, in images that have several.")
        buttons = QDialogButtonBox()
        self._start = QPushButton("Start")
        buttons.addButton(self._start, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        layout = QGridLayout(self)
        rows = {
            "Images": (self._images, "Choose images...", self._ask_for_images),
            "Labels": (self._labels, "Choose where to...", self._ask_for_labels),
        }
        for row, (name, (field, text, ask)) in enumerate(rows.items()):
            field.setReadOnly(True)
            field.setMinimumWidth(320)
            button = QPushButton(text)
            button.clicked.connect(ask)
            for column, part in enumerate((QLabel(name), field, button)):
                layout.addWidget(part, row, column)
        layout.addWidget(QLabel("Channel"), 2, 0)
        layout.addWidget(self._channel, 2, 1, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._link, 3, 1)
        layout.addWidget(QLabel("With"), 4, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._choices, 4, 1, 1, 2)
        layout.addWidget(buttons, 5, 1, 1, 2)
        self._start.setEnabled(False)
        buttons.accepted.connect(self._on_start)
        buttons.rejected.connect(self.close)

    def _ask_for_images(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of images")
        if folder:
            if self._labels.text() in ("", beside(self._images.text())):
                self._labels.setText(beside(folder))  # unless the user has chosen where to
            self._images.setText(folder)
            self._start.setEnabled(True)

    def _ask_for_labels(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the labels")
        if folder:
            self._labels.setText(folder)

    def _on_start(self) -> None:
        images, labels = Path(self._images.text()), Path(self._labels.text())
        self.chosen.emit(images, labels, self._link.isChecked(), self._channel.value() - 1)
        self.close()


def in_short(model: str, settings: BatchSettings) -> str:
    """Say with what images are segmented."""
    branches = BRANCHES_IN_WORDS[settings.branches]
    return (
        f"{Path(model).name}, {branches}, threshold {settings.threshold:.2f}, "
        f"minimum size {settings.min_size} px. Cancel to change them."
    )


def beside(images: str) -> str:
    """Name the folder for the labels of a folder of images, where none was chosen."""
    return f"{images}-labels"


class FolderRun(FileRun):
    """The button that segments a folder, and the run it starts.

    Parameters
    ----------
    progress : RunProgress
        Shows the run and can cancel it.
    choose : callable
        Returns the model's name or path and the settings, or raises a UserError.
    parent : QWidget
        Owner of this object.
    """

    def __init__(
        self,
        progress: RunProgress,
        choose: Callable[[], tuple[str, BatchSettings]],
        parent: QWidget,
    ) -> None:
        super().__init__(progress, parent)
        self._choose = choose
        self.button = QPushButton("Segment a folder...")
        self.button.setToolTip(
            "Segment all images of a folder with these choices, into label files."
        )
        self.button.clicked.connect(self.ask)

    def ask(self) -> None:
        """Let the user choose folders; that starts a run."""
        try:
            choices = in_short(*self._choose())
        except UserError as error:
            self.refused.emit(str(error))
            return
        dialog = FolderDialog(self.button, choices)
        dialog.chosen.connect(self.start)
        dialog.open()

    def start(self, images: Path, output: Path, link: bool = False, channel: int = 0) -> None:
        """Segment the images of a folder with what is chosen now."""
        if self.running:
            return
        try:
            model, settings = self._choose()
        except UserError as error:
            self.refused.emit(str(error))
            return
        request = FolderRequest(
            images, output, model, replace(settings, link=link, channel=channel)
        )
        self._table = output / SUMMARY_FILE
        self._begin_in(output, partial(segment_folder, request))

    def _on_progress(self, done: int, total: int) -> None:
        super()._on_progress(done, total)
        text = self._progress.text
        text.setText(f"{done // STEPS} of {total // STEPS} images. {text.text()}")

    def _on_succeeded(self, results: list[Result]) -> None:
        self._end()
        table = f"The table of results is {self._table}."
        problems = failures(results)
        said = self.refused if problems else self.said
        said.emit(" ".join([in_words(results), *first_of(problems), table]))


def first_of(problems: Sequence[str]) -> list[str]:
    """Return the first sentences, and how many more there are."""
    more = len(problems) - NAMED_FAILURES
    return [*problems[:NAMED_FAILURES], *[f"{more} more are in the table."] * (more > 0)]
