"""What the widget says, in a colour that can be read."""

import re

import numpy as np
from napari.layers import Labels
from napari.utils.theme import get_theme


def luminance(colour):
    """Relative luminance, as WCAG defines it."""
    parts = np.array([int(colour[index : index + 2], 16) for index in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def test_errors_are_readable_on_every_theme(viewer, widget):
    for theme in ("dark", "light"):
        widget.message.refuse("It cannot be done.")
        for other in ("light", "dark", theme):  # whatever was on when it was said
            viewer.theme = other
        background = "#{:02x}{:02x}{:02x}".format(
            *get_theme(theme).background.as_rgb_tuple(alpha=False)
        )
        [colour] = re.findall("#[0-9a-f]{6}", widget.message.styleSheet())
        dark, light = sorted(luminance(one) + 0.05 for one in (background, colour))
        assert light / dark >= 4.5
    widget.message.say("It is done.")
    viewer.theme = "dark"
    assert not widget.message.styleSheet()


def test_defect_is_reported_and_the_widget_goes_on(hands, viewer, widget, blobs, monkeypatch):
    reports = []
    monkeypatch.setattr(
        "napari_medt.gui.message.notification_manager.receive_error",
        lambda *error: reports.append(error),
    )

    def broken(*_):
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr("napari_medt.engine.predict.run", broken)
        viewer.add_image(blobs)
        hands.click("Segment")
        hands.wait(lambda: reports)
    assert "a defect" in widget.message.text()
    assert reports[0][0] is RuntimeError
    assert isinstance(hands.click_segment_and_wait(), Labels)
