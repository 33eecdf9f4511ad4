"""What is remembered of labels: nothing is done twice, and no correction is lost."""

import json
import os
from dataclasses import replace
from unittest.mock import Mock

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from napari_medt.engine import batch, predict, record
from napari_medt.engine.files import STATE
from napari_medt.engine.record import BatchSettings
from napari_medt.engine.summary import in_words
from tests.engine.conftest import ONE, SHAPE, TWO, run, statuses, table


def test_a_second_run_does_only_what_is_new(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    imageio.imwrite(inputs / "one.png", TWO)
    imageio.imwrite(inputs / "three.png", ONE)
    seen = []
    read = batch.read_item
    monkeypatch.setattr(batch, "read_item", lambda item: seen.append(item.name) or read(item))
    results = run(inputs, out, model)
    assert statuses(results) == {"one": "done", "two": "skipped", "three": "done"}
    assert seen == ["one", "three"]
    assert tifffile.imread(out / "one.labels.tif").max() == 2
    assert table(out)["two.png"]["objects"] == "2", "from the record"
    assert in_words(results) == "2 of 3 images segmented, 1 done before."
    assert set(statuses(run(inputs, out, model, again=True)).values()) == {"done"}


@pytest.mark.parametrize(
    "settings", [BatchSettings("patch"), BatchSettings(threshold=0.7), BatchSettings(min_size=9)]
)
def test_other_settings_are_another_run(inputs, out, model, settings):
    run(inputs, out, model)
    assert set(statuses(run(inputs, out, model, settings)).values()) == {"done"}
    assert set(statuses(run(inputs, out, model, settings)).values()) == {"skipped"}


def test_another_model_is_another_run(inputs, out, model):
    run(inputs, out, model)
    object.__setattr__(model.card, "sha256", "1" * 64)
    assert set(statuses(run(inputs, out, model)).values()) == {"done"}
    object.__setattr__(model.card, "input", replace(model.card.input, overlap=0.5))
    assert set(statuses(run(inputs, out, model)).values()) == {"done"}
    assert set(statuses(run(inputs, out, model)).values()) == {"skipped"}


def test_another_image_of_the_same_name_size_and_time_is_another_one(inputs, out, model):
    """So are files of archives that give all of them one date."""
    one, other = inputs / "one.tif", inputs / "other" / "one.tif"
    other.parent.mkdir()
    for file, image in (one, ONE), (other, TWO):
        tifffile.imwrite(file, image)
        os.utime(file, (1e9, 1e9))
    assert one.stat().st_size == other.stat().st_size
    for file, count in (one, 1), (other, 2):
        assert statuses(run(file, out, model)) == {"one": "done"}
        assert tifffile.imread(out / "one.labels.tif").max() == count


def test_another_version_is_another_run(inputs, out, model, monkeypatch):
    """It may make other labels; what somebody edited stays also then."""
    run(inputs, out, model)
    (out / "one.labels.tif").write_bytes(b"corrected")
    monkeypatch.setattr(record, "__version__", "99.0")
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "done"}
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "skipped"}
    assert (out / "one.labels.tif").read_bytes() == b"corrected"


def test_labels_that_are_gone_are_made_again(inputs, out, model):
    run(inputs, out, model)
    (out / "one.labels.tif").unlink()
    assert statuses(run(inputs, out, model)) == {"one": "done", "two": "skipped"}
    assert statuses(run(inputs, out, model, probability=True)) == {"one": "done", "two": "done"}
    assert tifffile.imread(out / "one.probability.tif").dtype == np.float32


def test_probabilities_are_those_of_the_labels_beside_them(inputs, out, model):
    run(inputs, out, model, probability=True)
    file = out / "one.probability.tif"
    assert set(statuses(run(inputs, out, model, probability=True)).values()) == {"skipped"}
    assert set(statuses(run(inputs, out, model)).values()) == {"skipped"}
    assert file.is_file()
    imageio.imwrite(inputs / "one.png", TWO)
    assert statuses(run(inputs, out, model)) == {"one": "done", "two": "skipped"}
    assert not file.exists()
    results = run(inputs, out, model, probability=True)
    assert statuses(results) == {"one": "done", "two": "skipped"}
    assert np.count_nonzero(tifffile.imread(file) > 0.5) == np.count_nonzero(TWO)


@pytest.mark.parametrize("probability", [False, True])
def test_probabilities_from_elsewhere_are_nobodys_to_delete(inputs, out, model, probability):
    out.mkdir()
    (out / "one.probability.tif").write_bytes(b"the work of a day")
    results = run(inputs, out, model, probability=probability)
    assert statuses(results) == {"one": "failed", "two": "done"}
    assert "move it away" in table(out)["one.png"]["error"]
    assert (out / "one.probability.tif").read_bytes() == b"the work of a day"


@pytest.mark.parametrize("again", [False, True])
def test_corrected_labels_are_kept_and_measured(inputs, out, model, again):
    run(inputs, out, model)
    corrected = np.zeros(SHAPE, np.uint16)
    corrected[5, 5:10], corrected[9, 9] = 3, 8
    tifffile.imwrite(out / "one.labels.tif", corrected)
    results = run(inputs, out, model, BatchSettings(threshold=0.7), again=again)
    assert statuses(results) == {"one": "kept", "two": "done"}
    assert np.array_equal(tifffile.imread(out / "one.labels.tif"), corrected)
    row = table(out)["one.png"]
    assert row["status"] == "kept, edited"
    assert (row["objects"], row["area_pixels"]) == ("2", "6")
    assert "1 kept as you edited them" in in_words(results)


@pytest.mark.parametrize("again", [False, True])
def test_labels_corrected_for_another_image_are_kept_but_not_measured(inputs, out, model, again):
    """It has the same name, or the image was changed; labels that nobody edited are replaced."""
    run(inputs, out, model)
    (out / "one.labels.tif").write_bytes(b"corrected")
    other = inputs.parent / "other"
    other.mkdir()
    imageio.imwrite(other / "one.png", TWO)
    imageio.imwrite(other / "two.png", ONE)
    results = run(other, out, model, again=again)
    assert statuses(results) == {"one": "failed", "two": "done"}
    assert (out / "one.labels.tif").read_bytes() == b"corrected"
    row = table(out)["one.png"]
    assert "one.labels.tif was corrected for another or a changed image" in row["error"]
    assert row["area_pixels"] == row["objects"] == ""
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "done"}


def test_labels_from_elsewhere_and_broken_records_lose_nothing(inputs, out, model):
    out.mkdir()
    (out / "one.labels.tif").write_bytes(b"the work of a day")
    run(inputs, out, model)
    (out / STATE / "two.json").write_text("{")
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "kept"}
    assert (out / "one.labels.tif").read_bytes() == b"the work of a day"
    assert table(out)["one.png"]["objects"] == ""


def test_a_correction_during_the_run_is_kept(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    forward = predict.run

    def meanwhile(*arguments):
        (out / "one.labels.tif").write_bytes(b"corrected")
        return forward(*arguments)

    monkeypatch.setattr(predict, "run", meanwhile)
    assert statuses(run(inputs, out, model, again=True)) == {"one": "kept", "two": "done"}
    assert (out / "one.labels.tif").read_bytes() == b"corrected"


def test_a_kill_between_record_and_labels_is_no_correction(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    before, none = (out / "one.labels.tif").read_bytes(), BatchSettings(min_size=200)
    write = batch.write_record

    def killed(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            run(inputs, out, model, none)
    assert (out / "one.labels.tif").read_bytes() == before
    assert set(statuses(run(inputs, out, model, none)).values()) == {"done"}
    assert not tifffile.imread(out / "one.labels.tif").any()


def test_labels_that_could_not_be_replaced_twice_are_no_correction(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    others = [BatchSettings(min_size=200), BatchSettings(min_size=201), BatchSettings(min_size=202)]
    write = batch.write_record

    def refused(*arguments):
        write(*arguments)
        raise PermissionError("open elsewhere")

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_record", refused)
        for settings in others[:2]:
            assert set(statuses(run(inputs, out, model, settings)).values()) == {"failed"}
    assert set(statuses(run(inputs, out, model, others[2])).values()) == {"done"}


@pytest.mark.parametrize("text", ["{", "[]", '{"other": 1}', "[" * 100_000])
def test_a_damaged_record_is_none(tmp_path, text):
    (tmp_path / STATE).mkdir()
    (tmp_path / STATE / "one.json").write_text(text)
    assert record.read_record(tmp_path, "one") == record.Record()


def test_records_name_no_file_and_no_time(inputs, out, model):
    run(inputs, out, model)
    record = json.loads((out / STATE / "one.json").read_text())
    assert record["made"]["weights_sha256"] == model.card.sha256
    assert record["made"]["threshold"] == model.card.threshold
    assert str(inputs) not in json.dumps(record)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_probabilities_that_no_run_wrote_stay(inputs, out, model, before, after):
    """Both those put beside labels that were written without, and those that were changed."""
    run(inputs, out, model, probability=before)
    (out / "one.probability.tif").write_bytes(b"the work of a day")
    results = run(inputs, out, model, probability=after, again=True)
    assert statuses(results) == {"one": "failed", "two": "done"}
    assert "move it away" in table(out)["one.png"]["error"]
    assert (out / "one.probability.tif").read_bytes() == b"the work of a day"


@pytest.mark.parametrize("done", [False, True])
def test_killed_after_the_probabilities_a_run_goes_on(inputs, out, model, monkeypatch, done):
    """They are known to be ours, but not to be those of the labels of a run before."""
    if done:
        run(inputs, out, model)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_labels", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(inputs, out, model, BatchSettings(threshold=0.4), probability=True)
    assert (out / "one.probability.tif").exists()
    results = run(inputs, out, model, probability=True)
    assert set(statuses(results).values()) == {"done"}
    assert set(statuses(run(inputs, out, model, probability=True)).values()) == {"skipped"}
