"""Cards: rules that are none are refused."""

import json

import numpy as np
import pytest

from napari_medt.errors import ModelError
from napari_medt.models.card import CARD_FILE, InputRule, read_card


@pytest.mark.parametrize(
    "limits", [{"low": -1}, {"high": 101}, {"low": 99.9}, {"low": 50, "high": 50}]
)
def test_percentiles_that_are_none_are_refused(limits):
    with pytest.raises(ValueError, match="low and high must be percentiles from 0 to 100"):
        InputRule(**limits)
    assert InputRule(intensity="range", **limits)  # where they are not used


@pytest.mark.parametrize("name", ["low", "high", "gamma", "overlap", "object_size"])
@pytest.mark.parametrize("value", [np.inf, np.nan, True, 10**400, "1"])
def test_values_that_are_not_finite_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number"):
        InputRule(**{name: value})


@pytest.mark.parametrize("gamma", [0, -1])
def test_a_gamma_that_is_no_exponent_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma must be a positive number"):
        InputRule(gamma=gamma)


@pytest.mark.parametrize("zooms", [[], [0.5], [1, 0], [1, 5], [1, np.nan]])
def test_zooms_that_are_none_are_refused(zooms):
    with pytest.raises(
        ValueError, match=r"zooms must be numbers from 0.25 to 4, the first of them 1"
    ):
        InputRule(zooms=zooms)


def test_whole_images_have_no_zooms():
    with pytest.raises(ValueError, match="zooms must be 1 alone where whole images are seen"):
        InputRule(scaling="whole", zooms=(1, 0.8))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"threshold": "0.5"}, "threshold must be a number"),
        ({"threshold": 5}, "threshold must be from 0 to 1"),
        ({"threshold": np.nan}, "threshold must be a number"),
        ({"min_size": 30.5}, "min_size must be a whole number"),
        ({"temperature": True}, "temperature must be a number"),
        ({"temperature": np.inf}, "temperature must be a number"),
        ({"report_scale": 0}, "temperature and report_scale must be above 0"),
        ({"name": 5}, "name must be text"),
        ({"limits": "a\udcff"}, "text with '.udcff' cannot be written: leave it out"),
        ({"input": {"object_size": np.nan}}, "object_size must be a number"),
        ({"input": {"object_size": -1}}, "object_size must be a number that is not negative"),
        ({"input": {"gamma": "0.5"}}, "gamma must be a number"),
        ({"network": {"image_size": 128.0}}, "image_size must be a whole number"),
    ],
)
def test_a_card_that_was_spoilt_is_refused(tiny_model, values, reason):
    file = tiny_model / CARD_FILE
    card = json.loads(file.read_text(encoding="utf-8"))
    for name, value in values.items():
        card[name] = {**card[name], **value} if isinstance(value, dict) else value
    file.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=f"cannot be used: {reason}"):
        read_card(tiny_model)


def test_a_card_nested_too_deeply_is_refused(tiny_model):
    (tiny_model / CARD_FILE).write_text("[" * 100000)
    with pytest.raises(ModelError, match="cannot be used"):
        read_card(tiny_model)
