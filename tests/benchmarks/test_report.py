"""What is reported: figures with their spread, and where and on what they were measured."""

import json
import sys

import pytest

from benchmarks import report


def test_results_are_told_and_written(tmp_path, capsys):
    file, results = tmp_path / "new" / "a.json", {"s": report.spread([3.0, 1.0, 7.0])}
    report.tell(file, results)
    assert json.loads(file.read_text(encoding="utf-8")) == results
    assert results["s"] == {"median": 3.0, "min": 1.0, "max": 7.0}
    assert file.read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of its processors")
def test_the_machine_is_named(monkeypatch):
    numba = pytest.importorskip("numba")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    about = report.machine()
    assert about["numba"] == numba.__version__
    assert about["waiting threads"] == {"OMP_WAIT_POLICY": "passive"}
    json.dumps(about)
