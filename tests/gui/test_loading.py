"""Torch and the engine, loaded when they are needed."""

import pytest

from napari_medt.errors import ModelError
from napari_medt.gui import loading
from tests.test_arrow import loaded_after


def test_the_demo_does_not_load_qt_before_torch():
    """Windows may not load torch afterwards."""
    assert not {"qtpy", "PyQt6"} & loaded_after("napari_medt.gui.demo")


def test_an_engine_that_cannot_be_loaded_is_a_sentence(monkeypatch):
    monkeypatch.setattr(loading, "ENGINE", "napari_medt.engine.missing")
    with pytest.raises(ModelError, match=r"PyTorch could not be loaded \(No module .*missing"):
        loading.import_engine()
