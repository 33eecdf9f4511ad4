"""A folder of images from the widget, with real clicks."""

import csv

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton

from napari_medt.gui import folder as module
from napari_medt.gui.folder import FolderDialog, first_of
from tests.gui.conftest import threads


@pytest.fixture
def images(tmp_path, blobs):
    """Two good images around a broken one."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "ac":
        imageio.imwrite(folder / f"{name}.png", blobs)
    (folder / "b.png").write_bytes(b"not an image")
    return folder


@pytest.fixture
def pick(hands, monkeypatch):
    """Open the dialog, choose folders in it, and start."""

    def press(text):
        [dialog] = [d for d in hands.widget.findChildren(FolderDialog) if d.isVisible()]
        [button] = [b for b in dialog.findChildren(QPushButton) if b.text() == text]
        hands.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def answer(folder):
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder or ""))

    def choose(images, labels=None, link=False, channel=1):
        hands.click("Segment a folder...")
        [dialog] = [d for d in hands.widget.findChildren(FolderDialog) if d.isVisible()]
        press("Start")
        assert dialog.isVisible(), "there is nothing to start yet"
        answer(None)
        press("Choose images...")
        assert not dialog._start.isEnabled()
        answer(images)
        press("Choose images...")
        if labels:
            answer(labels)
            press("Choose where to...")
        if link:
            hands.tick(dialog._link)
        if channel > 1:
            dialog._channel.setValue(channel)
        press("Start")

    return choose


def rows(folder):
    with (folder / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def test_a_folder_with_a_broken_file(hands, viewer, widget, batches, images, pick, tmp_path):
    out = tmp_path / "masks"
    batches.hold()
    pick(images, out)
    hands.wait(lambda: "0 of 3 images" in widget.progress.text.text())
    assert widget.progress.isVisible()
    assert not widget.segment.isEnabled()
    assert not widget.folder.button.isEnabled()
    viewer.add_image(np.zeros((20, 20)), name="meanwhile")
    batches.let(4)
    hands.wait(lambda: widget.progress.bar.value() > 0)
    batches.go_on()
    hands.wait(widget.folder.button.isEnabled)
    said = widget.message.text()
    assert said.startswith("2 of 3 images segmented, 1 failed.")
    assert "b.png is not an image that can be read." in said
    assert str(out / "summary.csv") in said
    assert not widget.progress.isVisible()
    assert tifffile.imread(out / "a.labels.tif").max() == 20
    found = rows(out)
    assert (found["a.png"]["objects"], found["b.png"]["status"]) == ("20", "failed")
    assert hands.masks() == []

    runs = len(batches.settings)
    (images / "b.png").unlink()
    pick(images, out)
    hands.wait(lambda: widget.message.text().startswith("0 of 2 images segmented, 2 done before."))
    assert len(batches.settings) == runs


def test_cancel_at_once_and_go_on(hands, viewer, widget, batches, images, pick):
    batches.hold()
    pick(images)
    hands.wait(lambda: "0 of 3 images" in widget.progress.text.text())
    hands.click("Cancel")
    assert widget.folder.button.isEnabled()
    assert not widget.progress.isVisible()
    out = images.parent / "images-labels"
    assert widget.message.text().startswith("Cancelled. ")
    assert str(out) in widget.message.text()
    batches.go_on()
    hands.wait(lambda: not threads())
    assert {row["status"] for row in rows(out).values()} == {"not reached"}
    assert not list(out.glob("*.tif"))
    pick(images)
    hands.wait(lambda: "2 of 3 images" in widget.message.text())


def test_a_folder_for_labels_that_was_chosen_stays(hands, monkeypatch):
    dialog = FolderDialog(hands.widget)
    answers = iter(["/images", "/more", "/results", "/images"])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: next(answers))
    images, labels = (
        button for button in dialog.findChildren(QPushButton) if button.text().startswith("Choose")
    )
    for button, put in (
        (images, "/images-labels"),
        (images, "/more-labels"),
        (labels, "/results"),
        (images, "/results"),
    ):
        button.click()
        assert dialog._labels.text() == put
    dialog.close()


def test_the_dialog_says_with_what_and_can_be_cancelled(hands, viewer, widget):
    hands.tick(widget.branches._patch)
    widget.settings.show_values(0.6, 40)
    hands.click("Segment a folder...")
    [dialog] = [d for d in widget.findChildren(FolderDialog) if d.isVisible()]
    said = [label.text() for label in dialog.findChildren(QLabel)]
    assert "Channel" in said
    assert any("tiny, global branch, threshold 0.60, minimum size 40 px" in one for one in said)
    [cancel] = [b for b in dialog.findChildren(QPushButton) if b.text() == "Cancel"]
    cancel.click()
    assert not dialog.isVisible()
    assert not widget.folder.running


def test_choices_reach_the_run_and_edits_stay(
    hands, viewer, widget, batches, images, pick, tmp_path
):
    (images / "b.png").unlink()
    out = tmp_path / "masks"
    pick(images, out)
    hands.wait(lambda: "2 of 2 images" in widget.message.text())
    tifffile.imwrite(out / "a.labels.tif", np.full((200, 240), 4, np.uint16))
    hands.tick(widget.branches._global)
    widget.settings._threshold.setValue(0.95)
    batches.settings.clear()
    pick(images, out, link=True)
    hands.wait(lambda: "1 kept as you edited them" in widget.message.text())
    assert set(batches.settings) == {"patch"}
    assert (tifffile.imread(out / "a.labels.tif") == 4).all()
    assert rows(out)["a.png"]["area_pixels"] == str(200 * 240)


def test_a_channel_for_all_images(hands, widget, batches, tmp_path, images, pick):
    tifffile.imwrite(images / "d.tif", np.zeros((2, 40, 50), np.uint8), photometric="minisblack")
    pick(images, tmp_path / "out", channel=3)
    hands.wait(lambda: "no channel 3: choose one of 2." in widget.message.text())


def test_one_run_at_a_time(hands, viewer, widget, batches, blobs, images, pick):
    viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    assert not widget.folder.button.isEnabled()
    hands.click("Cancel")
    assert widget.message.text() == "Cancelled."
    pick(images)
    widget.start()
    widget.folder.start(images, images)
    hands.click("Cancel")
    batches.go_on()
    assert hands.masks() == []
    assert not list(images.glob("*.tif"))


def test_a_mask_is_counted_while_a_folder_runs(hands, viewer, widget, batches, blobs, images, pick):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    batches.hold()
    pick(images)
    hands.paint(mask, 10, 100)
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")
    assert widget.folder.running
    hands.click("Cancel")


def test_mistakes_get_a_sentence(hands, widget, pick, tmp_path):
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("")
    pick(empty)
    hands.wait(lambda: "There are no images in" in widget.message.text())
    assert widget.folder.button.isEnabled()
    imageio.imwrite(empty / "a.png", np.eye(40, dtype=np.uint8))
    pick(empty, file / "x")
    hands.wait(lambda: "cannot be made" in widget.message.text())
    widget.model._box.clear()
    hands.click("Segment a folder...")
    assert "no model to segment with" in widget.message.text()
    assert not any(dialog.isVisible() for dialog in widget.findChildren(FolderDialog))
    assert widget.folder.button.isEnabled()


def test_a_defect_is_reported(hands, widget, pick, tmp_path, monkeypatch):
    def crash(*arguments):
        raise KeyError("surprise")

    reported = []
    monkeypatch.setattr(module, "segment_folder", crash)
    monkeypatch.setattr(
        "napari_medt.gui.message.notification_manager.receive_error",
        lambda kind, error, trace: reported.append(error),
    )
    pick(tmp_path)
    hands.wait(lambda: reported)
    assert "please report it" in widget.message.text()
    assert widget.folder.button.isEnabled()


def test_closing_the_widget_stops_the_run(hands, viewer, widget, batches, images, pick):
    batches.hold()
    pick(images)
    hands.wait(lambda: widget.progress.text.text().startswith("0 of 3"))
    viewer.window.remove_dock_widget("all")
    widget.deleteLater()
    hands.qtbot.wait(50)
    batches.go_on()
    hands.qtbot.wait(200)
    assert not list((images.parent / "images-labels").glob("*.tif"))


def test_many_failures_are_counted():
    assert first_of(["one."]) == ["one."]
    assert first_of(list("abcdefg")) == [*"abcde", "2 more are in the table."]
