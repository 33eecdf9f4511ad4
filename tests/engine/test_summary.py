"""The table of results."""

import csv
import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from napari_medt.engine.inputs import Item
from napari_medt.engine.summary import SUMMARY_FILE, Measurements, Result, write_summary
from napari_medt.errors import DataError


def test_numbers_have_as_many_digits_as_count(tmp_path):
    measured = Measurements("3 x 4", 7, 23.633333333333333, 12345678, 0.000123456789, 1234567.89)
    earlier = {"image": "b.png", "area_percent": "9.111111111111111"}
    write_summary(
        tmp_path, [Result(Item("a", (Path("a.png"),)), "done", measured=measured)], [earlier]
    )
    with (tmp_path / SUMMARY_FILE).open(newline="") as file:
        before, row = csv.DictReader(file)
    assert before["area_percent"] == "9.111111111111111", "a row of an earlier run stays"
    assert (row["area_percent"], row["area_mm2"]) == ("23.6333", "0.000123457")
    assert (row["area_pixels"], row["objects"]) == ("12345678", "7")
    assert (row["volume_mm3"], row["circumference_mm"]) == ("1234570.0", "")


def test_a_full_disk_is_not_taken_for_an_open_file(tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "replace", Mock(side_effect=full))
    with pytest.raises(DataError, match="The disk is full: make room on it, and try again"):
        write_summary(tmp_path, [], [])
