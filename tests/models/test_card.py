"""Cards: rules that are none are refused."""

import numpy as np
import pytest

from napari_medt.models.card import InputRule


@pytest.mark.parametrize(
    "limits", [{"low": -1}, {"high": 101}, {"low": 99.9}, {"low": 50, "high": 50}, {"low": np.nan}]
)
def test_percentiles_that_are_none_are_refused(limits):
    with pytest.raises(ValueError, match="low and high must be percentiles from 0 to 100"):
        InputRule(**limits)
    assert InputRule(intensity="range", **limits)  # where they are not used


@pytest.mark.parametrize("gamma", [0, -1, np.inf, np.nan])
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
