"""Work on a thread, and what is said of its end."""

import errno
import threading

import pytest

from napari_medt.errors import ImageError
from napari_medt.gui.job import Job, NewestJob

FULL = OSError(errno.ENOSPC, "No space left on device")
FORBIDDEN = PermissionError(errno.EACCES, "Permission denied", "/labels/a.tif")


def fail(error):
    raise error


def end_of(qtbot, job):
    """Run a job and tell the signal it ends with, and what comes with that."""
    ends = []
    for name in ("succeeded", "refused", "crashed"):
        getattr(job, name).connect(lambda what, name=name: ends.append((name, what)))
    job.start()
    qtbot.waitUntil(lambda: bool(ends))
    return ends[0]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ImageError("The image is empty."), "The image is empty."),
        (MemoryError("16 GiB"), "There is not enough memory: close"),
        (RuntimeError("can't allocate memory: you tried"), "There is not enough memory: close"),
        (FULL, "The disk is full: make room"),
        (FORBIDDEN, "/labels/a.tif cannot be read or written (Permission denied): see"),
        (TimeoutError(), "A file cannot be read or written ("),
    ],
)
def test_what_can_be_mended_is_a_sentence(qtbot, error, sentence):
    how, what = end_of(qtbot, Job(lambda *_: fail(error)))
    assert how == "refused"
    assert what.startswith(sentence)


def test_a_defect_is_none(qtbot):
    error = KeyError("surprise")
    assert end_of(qtbot, Job(lambda *_: fail(error))) == ("crashed", error)


@pytest.mark.parametrize("error", [FULL, KeyError("surprise")])
def test_the_newest_job_is_done_after_one_that_failed(qtbot, error, qapp):
    jobs, done = NewestJob(qapp), []
    jobs.succeeded.connect(done.append)
    jobs.submit(lambda: fail(error))
    jobs.submit(lambda: 7)
    qtbot.waitUntil(lambda: done == [7])
    jobs.submit(lambda: 8)
    qtbot.waitUntil(lambda: done == [7, 8])


def test_the_newest_job_of_each_thing_is_done(qtbot, qapp):
    jobs, done, begin = NewestJob(qapp), [], threading.Event()
    jobs.succeeded.connect(done.append)
    jobs.submit(begin.wait, "a")
    for number, about in enumerate("aabba"):
        jobs.submit(lambda number=number: number, about)
    assert jobs.is_at("a")
    assert jobs.is_at("b")
    assert not jobs.is_at("c")
    begin.set()
    qtbot.waitUntil(lambda: done == [True, 4, 3])
    assert not jobs.is_at("a")
    assert not jobs.is_at("b")
