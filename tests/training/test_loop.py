"""Training: learns, resumes exactly, and leaves a model the plugin can open."""

import csv
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from napari_medt.errors import DataError, ModelError
from napari_medt.models.card import InputRule
from napari_medt.models.store import load_model
from napari_medt.network.attention import GATES
from napari_medt.training import loop
from napari_medt.training.augment import AUGMENTATIONS, Augmentation
from napari_medt.training.config import TrainingConfig
from napari_medt.training.loop import (
    choose_branches,
    learn,
    learning_rate,
    selection_score,
    train,
)
from napari_medt.training.samples import find_splits

CONFIG = TrainingConfig(
    name="discs",
    architecture="gated",
    image_size=32,
    epochs=4,
    batch_size=4,
    images_per_epoch=8,
    learning_rate=5e-3,
    gates_frozen_epochs=2,
    validate_every=2,
    average_decay=0.5,
)


def weights_of(folder):
    return load_model(folder).network.state_dict()


def test_training_makes_a_complete_model(data, tmp_path):
    card = train(CONFIG, data, tmp_path / "model", device="cpu", quiet=True)
    model = load_model(tmp_path / "model")
    assert model.card == card
    accuracy = card.accuracy["both"]
    assert accuracy["images"] == 2
    assert accuracy["dice_ci"][0] <= accuracy["dice"] <= accuracy["dice_ci"][1]
    assert 0 <= accuracy["ece"] <= 1
    assert card.temperature not in (0, 1)
    assert card.classes == ("background", "foreground")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {
        "card.json",
        "curve.png",
        "domain.json",
        "log.csv",
        "training.json",
        "weights.safetensors",
    }
    with (tmp_path / "model/log.csv").open() as lines:
        log = list(csv.DictReader(lines))
    assert [row["step"] for row in log] == ["2", "4", "6", "8"]
    assert [bool(row["val_dice"]) for row in log] == [False, True, False, True]
    with pytest.raises(DataError, match="finished model"):
        train(CONFIG, data, tmp_path / "model", quiet=True)


def test_an_interrupted_run_goes_on_exactly(data, tmp_path, monkeypatch):
    train(CONFIG, data, tmp_path / "straight", device="cpu", quiet=True)

    real, calls = loop.train_epoch, []

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(loop, "train_epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, data, tmp_path / "broken", device="cpu", quiet=True)
    other = replace(CONFIG, seed=1)
    with pytest.raises(DataError, match="another configuration"):
        train(other, data, tmp_path / "broken", device="cpu", quiet=True)
    train(CONFIG, data, tmp_path / "broken", device="cpu", quiet=True)

    straight, broken = weights_of(tmp_path / "straight"), weights_of(tmp_path / "broken")
    assert all(torch.equal(straight[key], broken[key]) for key in straight)


def interrupt(*arguments):
    raise KeyboardInterrupt


def interrupted(data, output, monkeypatch):
    """A run that is stopped after its first epoch."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, data, output, device="cpu", quiet=True)
    return output


def test_a_run_goes_on_with_its_images_only(data, tmp_path, monkeypatch):
    output = interrupted(data, tmp_path / "m", monkeypatch)
    for kind in ("images", "labels"):  # an image that was trained on is to be validated on
        (data / "train" / kind / "5.png").rename(data / "val" / kind / "5.png")
    with pytest.raises(DataError, match="unfinished run with other images"):
        train(CONFIG, data, output, device="cpu", quiet=True)
    with monkeypatch.context() as patch:
        patch.setitem(AUGMENTATIONS, "flips", Augmentation(stretch=1.2))
        with pytest.raises(DataError, match="another configuration"):
            train(CONFIG, data, output, device="cpu", quiet=True)
    for kind in ("images", "labels"):
        (data / "val" / kind / "5.png").rename(data / "train" / kind / "5.png")
    assert train(CONFIG, data, output, device="cpu", quiet=True).training["epochs"] == 4


@pytest.mark.parametrize("file", ["training.json", "domain.json"])
def test_no_file_is_left_half_written(data, tmp_path, monkeypatch, file):
    write = Path.write_text

    def on_a_full_disk(path, text, **options):
        if ("reach" in text) == (file == "domain.json"):
            write(path, text[: len(text) // 2], **options)
            raise OSError(28, "No space left on device")
        write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        train(replace(CONFIG, epochs=1), data, tmp_path / "m", device="cpu", quiet=True)
    assert not (tmp_path / "m" / file).exists()


def test_images_to_validate_on_are_checked_before_the_first_epoch(data, tmp_path, monkeypatch):
    imageio.imwrite(data / "val" / "labels" / "1.png", np.zeros((5, 6), np.uint8))
    monkeypatch.setattr(loop, "train_epoch", None)
    with pytest.raises(DataError, match=r"1\.png is 5 x 6 pixels, its image 40 x 40"):
        train(CONFIG, data, tmp_path / "m", device="cpu", quiet=True)


def test_objects_are_chosen_by_panoptic_quality_and_masks_by_dice():
    assert selection_score({"dice": 0.9, "pq": 0.6}) == 0.6
    assert selection_score({"dice": 0.9}) == 0.9


def test_the_best_weights_are_kept_not_the_last(data, tmp_path, monkeypatch):
    scores, seen = iter([0.7, 0.9, 0.8, 0.1]), []

    def score(model, samples, **_):
        seen.append({k: v.clone() for k, v in model.network.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(loop, "evaluate", score)
    monkeypatch.setattr(loop, "summarise", lambda pq: {"dice": 1 - pq, "pq": pq})
    training, validation = find_splits(data)
    config = replace(CONFIG, validate_every=1)
    state = learn(config, training, validation, tmp_path / "m", device="cpu", quiet=True)
    kept = state.average.state_dict()
    assert all(torch.equal(kept[key], seen[1][key]) for key in kept)
    assert not all(torch.equal(kept[key], seen[3][key]) for key in kept)


def test_training_learns(data, tmp_path):
    config = replace(CONFIG, epochs=12, images_per_epoch=24, average_decay=0.8)
    card = train(config, data, tmp_path / "model", device="cpu", quiet=True)
    assert card.accuracy["both"]["dice"] > 0.8


def test_instances_and_two_branches_train(data, tmp_path):
    config = replace(
        CONFIG,
        architecture="medt",
        image_size=64,
        patch_size=32,
        target="instances",
        epochs=1,
        images_per_epoch=4,
    )
    card = train(config, data, tmp_path / "model", device="cpu", quiet=True)
    assert card.splits_objects
    assert set(card.accuracy) == {"both", "global", "patch"}
    assert {"ap50", "pq"} <= set(card.accuracy["both"])


def test_gates_are_frozen_then_learned(data, tmp_path):
    train(replace(CONFIG, epochs=2), data, tmp_path / "frozen", device="cpu", quiet=True)
    # Validated at its end only, so that what is kept comes from after the thaw.
    longer = replace(CONFIG, validate_every=4)
    train(longer, data, tmp_path / "learned", device="cpu", quiet=True)

    def gates(folder):
        return {k: v.item() for k, v in weights_of(folder).items() if k.split(".")[-1] in GATES}

    assert {round(value, 6) for value in gates(tmp_path / "frozen").values()} == {0.1, 1.0}
    moved = gates(tmp_path / "learned")
    assert any(abs(value - 0.1) > 1e-4 and abs(value - 1) > 1e-4 for value in moved.values())


def test_fine_tuning_starts_from_a_model(data, tmp_path):
    train(replace(CONFIG, epochs=1), data, tmp_path / "first", device="cpu", quiet=True)
    tuned = replace(CONFIG, start_from=str(tmp_path / "first"))
    state = loop.load_or_make_state(tuned, tmp_path / "second", torch.device("cpu"))
    first = weights_of(tmp_path / "first")
    assert all(torch.equal(value, first[key]) for key, value in state.network.state_dict().items())
    with pytest.raises(ModelError, match="its network is another one"):
        loop.load_or_make_state(
            replace(tuned, image_size=64), tmp_path / "second", torch.device("cpu")
        )
    other = replace(tuned, input=InputRule(channels="rgb"), classes=("background", "a", "b"))
    state = loop.load_or_make_state(other, tmp_path / "third", torch.device("cpu"))
    same = {k for k, v in state.network.state_dict().items() if torch.equal(v, first[k])}
    assert first.keys() - same == {"branch.stem.0.weight", "head.weight", "head.bias"}


def test_every_branch_setting_is_trained_in_its_share():
    config = replace(CONFIG, architecture="medt", image_size=128, branch_dropout=(0.2, 0.3))
    drawn = [choose_branches(config, step) for step in range(4000)]
    assert drawn.count("global") / 4000 == pytest.approx(0.2, abs=0.03)
    assert drawn.count("patch") / 4000 == pytest.approx(0.3, abs=0.03)
    assert {choose_branches(CONFIG, step) for step in range(100)} == {"both"}


def test_learning_rate_warms_up_then_falls_to_zero():
    rates = [learning_rate(CONFIG, step, 10) for step in range(40)]
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] == pytest.approx(CONFIG.learning_rate / 10)
    assert rates[-1] < 0.02 * CONFIG.learning_rate


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 5), (0.5, 1), (0.3, 7)])
def test_a_warm_up_of_part_of_an_epoch_stays_below_the_learning_rate(epochs, steps):
    config = replace(CONFIG, warmup_epochs=epochs)
    rates = [learning_rate(config, step, steps) for step in range(4 * steps)]
    assert max(rates) <= CONFIG.learning_rate


def test_no_score_below_0_is_shown_before_the_first_validation(data, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(loop.tqdm, "set_postfix", lambda bar, best, **_: shown.append(best))
    monkeypatch.setattr(loop, "selection_score", lambda summary: 0.5)
    train(replace(CONFIG, epochs=2), data, tmp_path / "model", device="cpu", quiet=True)
    assert shown == ["0.0000"] * 5 + ["0.5000"]  # two steps and the epoch, twice


def test_a_network_that_diverged_is_told_at_validation(data):
    """The loss was still a number; the step after it made weights that are not."""
    state = loop.load_or_make_state(CONFIG, data, torch.device("cpu"))
    with torch.no_grad():
        next(state.average.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match=r"^Training diverged"):
        loop.validate(state, CONFIG, find_splits(data)[1], "cpu")
