"""Work in several threads, torch's own or a pool's."""

import threading
import time

import pytest

from napari_medt.network import threads
from napari_medt.network.threads import run_in_threads


@pytest.fixture(params=["torch's", "pool"])
def home(request, monkeypatch):
    if request.param == "pool":
        monkeypatch.setattr(threads, "_gnu_parallel", lambda: None)
    elif threads._gnu_parallel() is None:
        pytest.skip("torch brings no GNU OpenMP along")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_all_threads_work_at_once(home, count):
    together, seen = threading.Barrier(count, timeout=30), set()

    def work():
        together.wait()  # is passed only when all are here
        seen.add(threading.get_ident())

    run_in_threads(count, work)
    assert len(seen) == count
    assert threading.get_ident() in seen


def test_an_error_reaches_the_caller(home):
    def work():
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        run_in_threads(2, work)


def test_an_error_of_another_thread_reaches_the_caller(home):
    caller = threading.get_ident()

    def work():
        if threading.get_ident() != caller:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_threads(2, work)


def test_an_error_waits_for_the_other_threads(home):
    """They may still write into what the caller would throw away."""
    caller, together, ended = threading.get_ident(), threading.Barrier(2, timeout=30), []

    def work():
        together.wait()
        if threading.get_ident() == caller:
            raise ValueError("no such row")
        time.sleep(0.3)
        ended.append(True)

    with pytest.raises(ValueError, match="no such row"):
        run_in_threads(2, work)
    assert ended
