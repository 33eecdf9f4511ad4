"""The widget in a window that is too small for it."""

from qtpy.QtWidgets import QComboBox

from napari_medt.gui.scrolled import Scrolled


def test_in_a_small_window_choices_are_scrolled_not_squeezed(hands, viewer, widget, batches, stack):
    window = viewer.window._qt_window
    window.resize(1024, 600)
    viewer.add_image(stack)
    widget.message.say("A long sentence of what can be mended. " * 8)
    area = widget.findChild(Scrolled)
    hands.wait(area.verticalScrollBar().isVisible)
    boxes = [box for box in widget.findChildren(QComboBox) if box.isVisible()]
    assert len(boxes) == 6
    assert all(box.height() >= box.sizeHint().height() for box in boxes)
    assert area.widget().width() >= area.widget().minimumSizeHint().width()
    assert window.height() == 600
    for part in (widget.segment, widget.message, widget.settings):
        assert widget.rect().contains(part.mapTo(widget, part.rect().bottomRight()))

    window.resize(1024, 850)
    hands.wait(lambda: not area.verticalScrollBar().isVisible())
    assert area.height() == area.widget().height()
