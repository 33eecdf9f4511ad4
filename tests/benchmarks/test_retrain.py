"""Every bundled model can be made again from what lies beside it."""

import shutil
from dataclasses import replace

import pytest

from benchmarks import retrain
from napari_medt.models.store import bundled_cards, read_card
from napari_medt.training.config import TrainingConfig, read_config
from tests.training.test_data import write_data
from tests.training.test_loop import CONFIG


@pytest.mark.parametrize("name", bundled_cards())
def test_the_runs_of_a_bundled_model_lead_from_fresh_weights_to_it(name):
    runs = [*retrain.runs_before(name), name]
    configs = [TrainingConfig.from_dict(read_config(retrain.settings_of(run))) for run in runs]
    assert [config.start_from for config in configs] == ["", *runs[:-1]]
    assert len({retrain.settings_of(run) for run in runs}) == len(runs)
    here = [config for config, run in zip(configs, runs, strict=True) if run.startswith(name)]
    earlier = list((retrain.BUNDLED / name).glob("training-*.json"))
    assert len(here) == len(earlier) + 1
    assert configs[-1].card.network == read_card(retrain.BUNDLED / name).network


def test_all_runs_are_done_and_gone_on_with(tmp_path, monkeypatch, capsys):
    for part, count in (("train", 3), ("val", 2)):
        write_data(tmp_path / "data" / "discs" / part, count)
    bundled, output = tmp_path / "bundled", tmp_path / "output"
    short = replace(CONFIG, epochs=1, validate_every=1)
    (bundled / "discs").mkdir(parents=True)
    (bundled / "discs" / "training-first.json").write_text(short.to_json())
    last = replace(short, start_from="discs-first", seed=1)
    (bundled / "discs" / "training.json").write_text(last.to_json())
    monkeypatch.setattr(retrain, "BUNDLED", bundled)
    retrain.retrain("discs", tmp_path / "data", output, "cpu")
    first, made = (read_card(output / run) for run in ("discs-first", "discs"))
    assert (first.training["start_from"], made.training["start_from"]) == ("", "discs-first")
    # It becomes the bundled one. Only what is not there is done again, to the same weights.
    shutil.copytree(output / "discs", bundled / "discs", dirs_exist_ok=True)
    shutil.rmtree(output / "discs")
    started = (output / "discs-first" / "card.json").stat().st_mtime_ns
    arguments = ["discs", "--data", str(tmp_path / "data"), "--output", str(output)]
    retrain.main([*arguments, "--device", "cpu"])
    assert read_card(output / "discs").sha256 == made.sha256
    assert (output / "discs-first" / "card.json").stat().st_mtime_ns == started
    assert capsys.readouterr().out.count("Dice  ") == 2
