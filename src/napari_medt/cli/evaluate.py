"""``napari-medt evaluate``: measure a model on images with known labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_medt.cli.options import add_device, add_model
from napari_medt.errors import DataError, ModelError
from napari_medt.network.config import BRANCHES


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("evaluate", help="measure a model on images with known labels")
    add_model(command)
    command.add_argument("--data", required=True, type=Path, help="folder of images/ and labels/")
    command.add_argument(
        "--branches",
        choices=(*BRANCHES, "all"),
        default="all",
        help="default: all settings the model has, one after the other",
    )
    add_device(command)
    command.add_argument("--json", type=Path, metavar="FILE", help="write the scores as JSON")
    command.add_argument(
        "--worst", type=Path, metavar="NAME.png", help="draw the worst cases as a picture"
    )
    command.add_argument(
        "--save-card",
        action="store_true",
        help="calibrate a model folder of your own and put what was measured on its card",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure a model on a folder."""
    from dataclasses import replace

    from tqdm import tqdm

    from napari_medt.models.accuracy import accuracy_lines
    from napari_medt.models.store import load_model, save_model
    from napari_medt.training.calibrate import calibrated
    from napari_medt.training.evaluate import evaluate, summarise
    from napari_medt.training.samples import find_samples
    from napari_medt.training.worst import draw_worst

    samples = find_samples(options.data)
    check_outputs(options)
    model = load_model(options.model)
    settings = model.card.branch_settings if options.branches == "all" else (options.branches,)
    if options.save_card:
        model = calibrated(model, samples, device=options.device)
    scores = {}
    for branches in settings:
        with tqdm(samples, desc=branches, unit="image", disable=None) as bar:
            scores[branches] = evaluate(model, bar, branches, device=options.device)
    accuracy = {branches: summarise(found) for branches, found in scores.items()}
    print(model.card.name, *accuracy_lines(accuracy), sep="\n")
    if options.json:
        write_scores(options.json, model, accuracy, scores)
    if options.save_card:
        save_model(options.model, replace(model.card, accuracy=accuracy), model.network)
    if options.worst:
        worst = draw_worst(options.worst, model, scores[settings[0]], settings[0], options.device)
        print("Worst:", ", ".join(f"{s.sample.image.name} {s.measures['dice']:.3f}" for s in worst))
    return 0


def check_outputs(options: argparse.Namespace) -> None:
    """Refuse what could not be written, before it is measured for minutes.

    Raises
    ------
    ModelError
        If there is no card to save on.
    DataError
        If a file cannot be written, or too little is measured for a card.
    """
    from napari_medt.engine.files import make_folder
    from napari_medt.models.store import bundled_cards

    for file in filter(None, (options.json, options.worst)):
        if file.exists() and not file.is_file():
            raise DataError(f"{file} is there and is not a file: give the name of a file.")
        if file == options.worst and file.suffix.lower() != ".png":
            raise DataError(f"{file} would be a PNG picture: let its name end in .png.")
        make_folder(file.parent)
    if not options.save_card:
        return
    if options.model in bundled_cards() or not Path(options.model).is_dir():
        raise ModelError(f"{options.model} has no card of your own: give the path of its folder.")
    if options.branches != "all":
        raise DataError("A card tells all branch settings: leave out --branches.")


def write_scores(path: Path, model: Any, accuracy: dict[str, Any], scores: dict[str, Any]) -> None:
    """Write as JSON what was measured: the summary, and every image, per branch setting."""
    from napari_medt.engine.files import write_json

    report = {
        "model": model.card.name,
        "temperature": model.card.temperature,
        "accuracy": accuracy,
        "scores": {
            branches: [{"image": score.sample.image.name, **score.measures} for score in found]
            for branches, found in scores.items()
        },
    }
    write_json(path, report)
