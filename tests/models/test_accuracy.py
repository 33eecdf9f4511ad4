"""The table of a card's accuracy."""

import pytest

from napari_medt.models.accuracy import accuracy_lines, reliability
from napari_medt.models.store import bundled_cards


def test_measures_intervals_and_images_are_shown():
    accuracy = {
        "both": {"images": 56, "dice": 0.9033, "dice_ci": [0.88, 0.9249], "ece": 0.0051},
        "patch": {"images": 56, "dice": 0.87, "dice_ci": [0.8, 0.9], "ece": 0.1, "failures": 3},
    }
    assert accuracy_lines(accuracy) == [
        "56 images              both                 patch",
        "Dice                   0.903 (0.880-0.925)  0.870 (0.800-0.900)",
        "Calibration error      0.005                0.100",
        "Images below Dice 0.7  -                    3",
        "In brackets: 95 % interval of the mean over images.",
    ]


def test_cards_without_intervals_or_all_measures():
    accuracy = {
        "both": {"images": 1, "dice": 1.0, "circumference_error_mm": 2.345},
        "x": {"images": 1},
    }
    assert accuracy_lines(accuracy) == [
        "1 image                  both   x",
        "Dice                     1.000  -",
        "Circumference error, mm  2.35   -",
    ]
    assert accuracy_lines({}) == []


@pytest.mark.parametrize("card", bundled_cards().values(), ids=lambda card: card.name)
def test_every_bundled_card_tells_how_good_it_is(card):
    lines = accuracy_lines(card.accuracy)
    assert lines[0].split()[1:] == ["images", "both", "global", "patch"]
    assert all(len(line) <= 100 for line in lines)


def test_how_good_a_model_is_in_a_sentence():
    accuracy = {"both": {"images": 103, "dice": 0.9612, "failures": 1}}
    words = reliability(accuracy)
    assert "On 103 validation images" in words
    assert "not trained on these images, but they were used to choose its weights" in words
    assert "96 % on average" in words
    assert "1 of 103 failed" in words
    accuracy["both"]["failures"] = 0
    assert "none of 103 failed" in reliability(accuracy)
    assert reliability({}) == ""
    assert all(reliability(card.accuracy) for card in bundled_cards().values())
