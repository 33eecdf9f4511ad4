"""The gate report."""

import pytest
import torch

from napari_medt.models.gates import gate_lines, read_gates
from napari_medt.network.networks import build_network


def test_gates_are_read_layer_by_layer():
    network = build_network("medt", image_size=64, patch_size=32)
    with torch.no_grad():
        network.global_branch.stages[1][0].width.gate_key.fill_(-0.25)
    gates = read_gates(network)
    # Two stages of one and two blocks, each with attention along the height and the width.
    assert len(gates) == 6
    assert all(place.startswith("global_branch.") for place in gates)
    start = {"gate_query": 0.1, "gate_key": 0.1, "gate_position_value": 0.1, "gate_value": 1.0}
    assert gates["global_branch.stages.0.0.height"] == pytest.approx(start)
    assert gates["global_branch.stages.1.0.width"]["gate_key"] == -0.25
    lines = gate_lines(network)
    assert [line.split()[0] for line in lines[1:]] == ["start", *gates]
    assert "-0.250" in lines[5]


@pytest.mark.parametrize("architecture", ["axialunet", "logo"])
def test_networks_without_gates(architecture):
    assert gate_lines(build_network(architecture, image_size=64, patch_size=32)) == []
