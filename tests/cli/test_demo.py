"""``demo``: with and without a display."""

from unittest.mock import Mock

import imageio.v3 as imageio
import tifffile

from tests.cli.conftest import run


def test_demo_without_a_display_writes_mask_and_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("napari_medt.cli.demo.has_display", lambda: False)
    assert run("demo", "--output", tmp_path / "demo") == 0
    assert "no display" in capsys.readouterr().out
    overlay = imageio.imread(tmp_path / "demo" / "fluorescence_nuclei.overlay.png")
    labels = tifffile.imread(tmp_path / "demo" / "fluorescence_nuclei.labels.tif")
    assert overlay.shape == (*labels.shape, 3)
    assert labels.max() > 10


def test_a_demo_without_qt_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setattr("napari_medt.cli.demo.has_display", lambda: True)
    missing = Mock(side_effect=ImportError("No Qt bindings could be found"))
    monkeypatch.setattr("napari_medt.gui.demo.show_demo", missing)
    assert run("demo") == 1
    error = capsys.readouterr().err
    assert 'pip install "napari-medt[all]"' in error
    assert error.count("\n") == 1
