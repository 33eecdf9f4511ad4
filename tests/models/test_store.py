"""Model folders: what is saved comes back, and what is damaged does not."""

import json

import pytest
import torch

from napari_medt.errors import ModelError
from napari_medt.models.card import CARD_FILE, WEIGHTS_FILE, ModelCard, read_card
from napari_medt.models.store import BUNDLED, bundled_cards, load_model, save_model


def test_a_saved_model_comes_back(tiny_model):
    model = load_model(tiny_model)
    again = load_model(str(tiny_model))
    assert not model.network.training
    assert model.card == again.card
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.network(image), again.network(image))


def test_a_model_is_printed_without_its_layers(tiny_model):
    assert len(repr(load_model(tiny_model)).splitlines()) == 1


def test_card_survives_json(tiny_model):
    card = read_card(tiny_model)
    assert ModelCard.from_dict(json.loads(card.to_json())) == card


def test_saving_again_keeps_other_files(tiny_model):
    (tiny_model / "log.csv").write_text("epoch\n")
    model = load_model(tiny_model)
    save_model(tiny_model, model.card, model.network)
    assert (tiny_model / "log.csv").exists()
    assert load_model(tiny_model).card == model.card
    names = {CARD_FILE, WEIGHTS_FILE, "log.csv"}
    assert {path.name for path in tiny_model.iterdir()} == names


def test_a_model_is_saved_into_the_working_folder(tiny_model, monkeypatch):
    model = load_model(tiny_model)
    monkeypatch.chdir(tiny_model)
    save_model(".", model.card, model.network)
    assert load_model(tiny_model).card == model.card


def test_a_failed_save_leaves_the_model_there_was(tiny_model, monkeypatch):
    model = load_model(tiny_model)
    before = {path.name: path.read_bytes() for path in tiny_model.iterdir()}

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(ModelCard, "to_json", full)
    with pytest.raises(OSError, match="space"):
        save_model(tiny_model, model.card, model.network)
    assert {path.name: path.read_bytes() for path in tiny_model.iterdir()} == before


def test_truncated_or_replaced_weights_are_refused(tiny_model):
    weights = tiny_model / WEIGHTS_FILE
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(tiny_model)
    weights.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tiny_model)


def test_weights_of_another_network_are_refused(tiny_model):
    card = json.loads((tiny_model / CARD_FILE).read_text())
    card["network"]["architecture"] = "logo"
    (tiny_model / CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="not those of the network"):
        load_model(tiny_model)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("classes"),
        lambda card: card.update(surprise=1),
        lambda card: card["input"].update(scaling="sideways"),
        lambda card: card["network"].update(image_size=100),
        lambda card: card["classes"].append("one too many"),
    ],
)
def test_damaged_cards_are_refused(tiny_model, change):
    card = json.loads((tiny_model / CARD_FILE).read_text())
    change(card)
    (tiny_model / CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="cannot be used"):
        load_model(tiny_model)
    (tiny_model / CARD_FILE).write_text("{")
    with pytest.raises(ModelError, match="cannot be used"):
        load_model(tiny_model)


def test_unknown_names_say_what_there_is(tmp_path):
    with pytest.raises(ModelError, match=r"no model 'nuclei-flourescence'.*bundled models"):
        load_model("nuclei-flourescence")
    with pytest.raises(ModelError, match="not a model folder"):
        load_model(tmp_path)


def test_every_bundled_model_loads_and_is_complete():
    cards = bundled_cards()
    assert "nuclei-fluorescence" in cards
    for name, card in cards.items():
        assert card.name == name
        assert load_model(name).card == card
        assert set(card.accuracy) == {"both", "global", "patch"}
        assert card.purpose
        assert card.limits
        assert card.licence
        assert all(data["licence"] and data["source"] for data in card.training["data"])
        for file in ("training.json", "log.csv", "curve.png"):
            assert (BUNDLED / name / file).exists()
