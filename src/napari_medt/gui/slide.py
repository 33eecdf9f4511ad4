"""An image too large to hold: its labels stream into a file, and are seen as they grow."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from napari.layers import Image, Labels, Layer
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.progress import IsCancelled, Progress
from napari_medt.engine.source import Level
from napari_medt.gui.layers import finest, layer_placement, plane_shape
from napari_medt.gui.loading import import_engine
from napari_medt.gui.outcome import Place
from napari_medt.gui.progress import RunProgress
from napari_medt.gui.run import FileRun
from napari_medt.network.config import Branches

if TYPE_CHECKING:
    import napari

    from napari_medt.engine.slide import Summary

# Of image files; what else has a dot is a part of their name.
SUFFIXES = (
    r"(?i)(\.ome)?\.(zarr|tiff?|btf|qptiff|svs|ndpi|scn|mrxs|vms|vmu|bif|czi|vsi|lif|nd2|jp2|"
    r"jpe?g|png)$"
)
REDRAW = 1.0  # seconds between looks at the labels while they grow


@dataclass(frozen=True, eq=False)
class SlideRequest:
    """What was chosen when Segment was clicked.

    Attributes
    ----------
    levels : sequence of Level
        The image's resolutions, the finest first.
    output : Path
        The label file to make, or that of a run to go on with.
    model : str
        Name of a bundled model, or the path of a folder.
    branches, threshold, min_size
        As for :func:`napari_medt.engine.segment.segment`.
    """

    levels: Sequence[Level]
    output: Path
    model: str
    branches: Branches
    threshold: float
    min_size: int


def stream(request: SlideRequest, progress: Progress, is_cancelled: IsCancelled) -> Summary:
    """Segment a slide into its file; a :class:`~napari_medt.gui.job.Job`.

    Raises
    ------
    UserError
        With one sentence for the user.
    Cancelled
        If `is_cancelled` said so; the same request goes on.
    """
    import_engine()
    from napari_medt.engine.slide import segment_slide
    from napari_medt.models.store import load_model

    return segment_slide(
        request.levels,
        load_model(request.model),
        request.output,
        request.branches,
        threshold=request.threshold,
        min_size=request.min_size,
        progress=progress,
        cancelled=is_cancelled,
    )


class SlideRun(FileRun):
    """Streams the labels of one slide at a time into a file and shows them.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the labels are shown.
    progress : RunProgress
        Shows the run and can cancel it.
    parent : QWidget
        Owner of this object, and of its dialog.
    """

    def __init__(self, viewer: napari.Viewer, progress: RunProgress, parent: QWidget) -> None:
        super().__init__(progress, parent)
        self._viewer, self._parent = viewer, parent

    def ask_for_output(self, image: Image) -> Path | None:
        """Let the user say where the labels go; None if they would rather not."""
        title = "Folder for the labels, or the labels of a run to go on with"
        start = Path(image.source.path).parent if image.source.path else Path.home()
        # A dialog for a file to save would enter the labels of a run, since they are a folder.
        chosen = QFileDialog.getExistingDirectory(self._parent, title, str(start))
        return output_in(Path(chosen), image) if chosen else None

    def start(self, image: Image, request: SlideRequest) -> None:
        """Segment a slide."""
        self._image, self._request = image, request
        self._layer: Labels | None = None
        self._drawn = 0.0
        self._begin_in(request.output, partial(stream, request))

    def _on_progress(self, done: int, total: int) -> None:
        super()._on_progress(done, total)
        if self._layer is None:
            self._layer = self._show()
        if time.monotonic() - self._drawn > REDRAW:
            self._layer.refresh()
            self._drawn = time.monotonic()

    def _show(self) -> Labels:
        """Show the labels as they are on disk; napari reads what it draws."""
        from napari_medt.engine.block import SlideSettings
        from napari_medt.engine.labelfile import LabelFile

        request = self._request
        settings = SlideSettings.read(request.output)
        step = request.levels[0].width / request.levels[settings.level].width
        levels = LabelFile.open(request.output).levels
        for layer in self._viewer.layers:
            if shows(layer, levels[0]):
                layer.visible = True
                return layer
        layer = Labels(
            levels if len(levels) > 1 else levels[0],
            multiscale=len(levels) > 1,
            name=f"{self._image.name} - {settings.model} labels",
            **layer_placement(self._image, guess_axes(plane_shape(self._image)), Place(step=step)),
        )
        layer.editable = False  # it is a file
        self._viewer.add_layer(layer)
        return layer

    def _on_succeeded(self, summary: Summary) -> None:
        if self._layer is None:  # nothing was left to do
            self._layer = self._show()
        self._layer.refresh()
        self._end()
        self.said.emit(f"{summary.in_words()} The labels are in {self._request.output}.")


def output_in(folder: Path, image: Image) -> Path:
    """Return the label file to make in a folder, or the folder if it is one already."""
    from napari_medt.engine.files import STATE

    if (folder / STATE).exists() or folder.suffix == ".zarr":
        return folder
    return folder / f"{name_of(image)}.labels.zarr"


def name_of(image: Image) -> str:
    """Name of a layer's file less its suffixes, or that of the layer where there is no file."""
    if image.source.path:
        return re.sub(SUFFIXES, "", Path(image.source.path).name)
    return re.sub(r'[\\/:*?"<>|]', "-", image.name)


def shows(layer: Layer, array: Any) -> TypeGuard[Labels]:
    """Whether a layer shows a label file, given by its finest resolution."""
    if not isinstance(layer, Labels):
        return False
    data = finest(layer)
    return type(data) is type(array) and bool(data == array)
