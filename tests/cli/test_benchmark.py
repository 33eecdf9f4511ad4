"""``benchmark``: the speed of this machine."""

import json

import pytest

from tests.cli.conftest import run


def test_benchmark_tells_the_time_of_an_image(tiny_model, capsys):
    options = ("--model", tiny_model, "--size", 100, 200, "--seconds", 0.01)
    assert run("benchmark", *options, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["size"] == [100, 200]
    assert {row["branches"] for row in report["speeds"]} == {"both", "global", "patch"}
    assert run("benchmark", *options, "--size", 10**9, 10**9) == 0
    assert "tiles/s" in capsys.readouterr().out
    for size in [(0, 5), (99999999999999, 99999999999999)]:
        assert run("benchmark", "--model", tiny_model, "--size", *size) == 1
        assert "must be from 1 to 1000000000 pixels a side" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run("benchmark", "--seconds", 0)
    assert "must be above 0" in capsys.readouterr().err
