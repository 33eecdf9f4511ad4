"""The values that the gates of gated axial attention have after training."""

from __future__ import annotations

from torch import nn

from napari_medt.network.attention import GATE_START, GATES, AxialAttention

MEANING = (
    "Gated axial attention (Valanarasu et al. 2021, section 2.2) multiplies what it learns about "
    "positions by gates: the position terms of queries and keys, which decide where to look, and "
    "the position term of the values, which is added to their content. With few training images "
    "positions are learned poorly, so their gates start almost closed, at 0.1, and the gate of the "
    "content starts at 1. A gate that grew in size says that the layer found positions useful, one "
    "near 0 that it does without; a sign can turn, since the position table can turn with it. Read "
    "gates as a tendency, not as shares: a batch norm follows each gated term, and its scale can "
    "take back what the gate gave."
)


def read_gates(network: nn.Module) -> dict[str, dict[str, float]]:
    """Read the gates of every gated attention layer, from the input to the output.

    Returns
    -------
    dict
        For each layer, by its place in the network, the value of each gate; empty if there are
        none.
    """
    return {
        place: {gate: float(getattr(module, gate)) for gate in GATES}
        for place, module in network.named_modules()
        if isinstance(module, AxialAttention) and module.gated
    }


def gate_lines(network: nn.Module) -> list[str]:
    """Write the gates of a network as the lines of a table; empty if it has none."""
    gates = read_gates(network)
    if not gates:
        return []
    width = max(map(len, gates))
    lines = [
        f"{'':{width}}  {'  '.join(GATES)}",
        f"{'start':{width}}  {_row(GATE_START)}",
    ]
    return lines + [f"{place:{width}}  {_row(values)}" for place, values in gates.items()]


def _row(values: dict[str, float]) -> str:
    return "  ".join(f"{values[gate]:>{len(gate)}.3f}" for gate in GATES)
