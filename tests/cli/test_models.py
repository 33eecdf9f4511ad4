"""``models``: the bundled models, and gates."""

import json
import re

from tests.cli.conftest import run
from tests.conftest import make_model


def test_gates_are_shown(tmp_path, tiny_model, capsys):
    assert run("models", "--gates", tiny_model) == 0
    printed = capsys.readouterr().out
    assert re.search(r"global_branch.stages.0.0.height +0.100 +0.100 +0.100 +1.000", printed)
    assert "local_branch" not in printed
    plain = make_model(tmp_path, "plain", architecture="axialunet")
    assert run("models", "--gates", plain) == 0
    assert "has no gates" in capsys.readouterr().out


def test_models_are_listed(capsys):
    assert run("models") == 0
    printed = capsys.readouterr().out
    assert "nuclei-fluorescence" in printed
    assert "Trained on: Data Science Bowl 2018" in printed
    assert run("models", "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert cards["nuclei-fluorescence"]["network"]["architecture"] == "medt"
