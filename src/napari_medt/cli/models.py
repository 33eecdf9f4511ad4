"""``napari-medt models``: list the bundled models, or show a model's gates."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("models", help="list the bundled models and their cards")
    command.add_argument("--json", action="store_true", help="print the cards as JSON")
    command.add_argument("--gates", metavar="MODEL", help="show what the gates of a model became")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the bundled models."""
    from napari_medt.models.accuracy import accuracy_lines, reliability
    from napari_medt.models.store import bundled_cards

    if options.gates:
        return show_gates(options.gates)
    cards = bundled_cards()
    if options.json:
        print(
            json.dumps({name: json.loads(card.to_json()) for name, card in cards.items()}, indent=2)
        )
        return 0
    for name, card in cards.items():
        print(f"{name}\n  {card.purpose}\n  {card.limits}")
        if words := reliability(card.accuracy):
            print(f"  {words}")
        for source in card.training.get("data", ()):
            print(f"  Trained on: {source['name']} ({source['licence']})")
        print(*(f"  {line}" for line in accuracy_lines(card.accuracy)), sep="\n")
    return 0


def show_gates(name: str) -> int:
    """Print the values that the gates of a model have after training."""
    import textwrap

    from napari_medt.models.gates import MEANING, gate_lines
    from napari_medt.models.store import load_model

    lines = gate_lines(load_model(name).network)
    if not lines:
        print(f"{name} has no gates: its attention is not gated.")
        return 0
    print(*lines, "", textwrap.fill(MEANING, 88), sep="\n")
    return 0
