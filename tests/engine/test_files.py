"""Files are written whole or not at all, under any name, with the rights of other new files."""

import os
import sys

import pytest

from napari_medt.engine.files import write_whole
from napari_medt.errors import DataError

needs_rights = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


def hello(path):
    path.write_text("hello", encoding="utf-8")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, hello)

    def fail(beside):
        beside.write_text("hal", encoding="utf-8")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        write_whole(path, fail)
    assert path.read_text(encoding="utf-8") == "hello"
    assert list(tmp_path.iterdir()) == [path]


@needs_rights
def test_a_link_stays_and_what_is_no_file_is_refused(tmp_path):
    file, link, pipe = tmp_path / "a.txt", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(file)
    write_whole(link, hello)
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == "hello"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="not a file"):
        write_whole(pipe, hello)
    assert pipe.is_fifo()


@needs_rights
@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_new_files_have_the_rights_that_the_user_chose(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a.txt", hello)
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_drive_may_refuse_other_rights(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError

    monkeypatch.setattr(os, "chmod", refuse)
    write_whole(tmp_path / "a.txt", hello)
    assert (tmp_path / "a.txt").exists()


def test_names_may_be_as_long_as_the_drive_allows(tmp_path):
    path = tmp_path / f"{'a' * 251}.txt"
    try:
        hello(path)
    except OSError:
        pytest.skip("this drive has shorter names")
    write_whole(path, hello)
    assert list(tmp_path.iterdir()) == [path]


@needs_rights
def test_a_link_to_a_pipe_without_a_name_is_refused(tmp_path):
    """As /dev/stdout is where the output goes to another program."""
    ends, link = os.pipe(), tmp_path / "link"
    link.symlink_to(f"/dev/fd/{ends[1]}")
    try:
        with pytest.raises(DataError, match="not a file"):
            write_whole(link, hello)
    finally:
        for end in ends:
            os.close(end)
    assert list(tmp_path.iterdir()) == [link]
