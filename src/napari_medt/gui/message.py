"""What the widget tells the user: of a mask, of a run, of what can be mended, or of a defect."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from napari.utils.events import Event
from napari.utils.notifications import notification_manager
from napari.utils.theme import get_theme

from napari_medt.gui.choices import Note

if TYPE_CHECKING:
    import napari

    from napari_medt.gui.mask import Mask

logger = logging.getLogger("napari_medt")

ERROR_COLOURS = {"dark": "#f0733f", "light": "#a8330a"}  # with a contrast of 4.5 or more


class Message(Note):
    """One sentence at a time, each in place of the one before.

    Parameters
    ----------
    viewer : napari.Viewer
        Its theme decides the colour of errors.

    Attributes
    ----------
    about : Mask or None
        The mask that the sentence is about.
    of_try : bool
        Whether it says why there is no mask of what is chosen.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.about: Mask | None = None
        self.of_try = False
        viewer.events.theme.connect(self._on_theme)

    def say(self, sentence: str, about: Mask | None = None) -> None:
        """Show a sentence, perhaps about a mask."""
        self.about, self.of_try = about, False
        self.setStyleSheet("")
        self.setText(sentence)

    def refuse(self, sentence: str) -> None:
        """Show what the user can mend."""
        logger.error(sentence)
        self.say(sentence)
        self.setStyleSheet(f"color: {error_colour(self._viewer.theme)};")

    def say_of_try(self, sentence: str) -> None:
        """Say why there is no mask of what is chosen."""
        self.say(sentence)
        self.of_try = True

    def refuse_try(self, sentence: str) -> None:
        """Show what the user can mend to get a mask of what is chosen."""
        self.refuse(sentence)
        self.of_try = True

    def report(self, error: Exception) -> None:
        """Show a defect: a sentence here, and napari's own report for the details."""
        self.refuse(f"This should not have happened, please report it: {error}")
        notification_manager.receive_error(type(error), error, error.__traceback__)

    def _on_theme(self, event: Event) -> None:
        if self.styleSheet():
            self.setStyleSheet(f"color: {error_colour(event.value)};")


def error_colour(theme: str) -> str:
    """Return the colour of errors that is readable on a theme's background."""
    background = get_theme(theme).background.as_rgb_tuple(alpha=False)
    return ERROR_COLOURS["dark" if sum(background) < 3 * 128 else "light"]
