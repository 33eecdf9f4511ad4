"""The command line: the plugin's jobs without a screen."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_medt.engine.device import DEVICES
from napari_medt.errors import DataError, ImageError, UserError
from napari_medt.network.config import ARCHITECTURES, BRANCHES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``napari-medt``.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 if anything failed, 2 for a misspelt command, 130 when interrupted.
    """
    options = make_parser().parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        print(f"napari-medt: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("napari-medt: stopped.", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Build the parser; each command sets ``run`` to its function."""
    parser = argparse.ArgumentParser(
        prog="napari-medt", description="Segment medical images with the Medical Transformer."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    segment = commands.add_parser("segment", help="segment images and write their labels")
    segment.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="files or folders")
    segment.add_argument("--model", required=True, help="bundled name, model folder or .pth file")
    segment.add_argument("--output", required=True, type=Path, help="folder for the results")
    segment.add_argument("--branches", choices=BRANCHES, default="both")
    segment.add_argument("--threshold", type=_probability, help="foreground probability, 0 to 1")
    segment.add_argument("--device", choices=DEVICES, default="auto")
    segment.add_argument("--probability", action="store_true", help="write probabilities too")
    segment.set_defaults(run=run_segment)

    evaluate = commands.add_parser("evaluate", help="measure a model on images with known labels")
    evaluate.add_argument("--model", required=True, help="bundled name, model folder or .pth file")
    evaluate.add_argument("--data", required=True, type=Path, help="folder of images/ and labels/")
    evaluate.add_argument("--branches", choices=BRANCHES, default="both")
    evaluate.add_argument("--device", choices=DEVICES, default="auto")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the scores as JSON")
    evaluate.set_defaults(run=run_evaluate)

    models = commands.add_parser("models", help="list the bundled models and their cards")
    models.add_argument("--json", action="store_true", help="print the cards as JSON")
    models.set_defaults(run=run_models)

    train = commands.add_parser("train", help="train a model on your own images")
    train.add_argument("--data", required=True, type=Path, help="folder of train/ and val/")
    train.add_argument("--output", required=True, type=Path, help="model folder to make")
    train.add_argument("--config", type=Path, help="JSON file of settings; options below win")
    train.add_argument("--name", help="the model's name")
    train.add_argument("--start-from", metavar="MODEL", help="fine-tune a model")
    train.add_argument("--architecture", choices=ARCHITECTURES)
    train.add_argument("--image-size", type=int, metavar="PIXELS")
    train.add_argument("--target", choices=("instances", "classes"), help="what labels are")
    train.add_argument("--classes", nargs="+", metavar="NAME", help="names, background first")
    train.add_argument("--channels", choices=("gray", "rgb"), help="default: as the first image")
    train.add_argument("--scaling", choices=("tiled", "whole"), help="crops, or images resized")
    train.add_argument("--augmentation", metavar="NAME", help="fluorescence, histology, ...")
    train.add_argument("--epochs", type=int)
    train.add_argument("--images-per-epoch", type=int)
    train.add_argument("--batch-size", type=int)
    train.add_argument("--learning-rate", type=float)
    train.add_argument("--seed", type=int)
    train.add_argument("--device", choices=DEVICES, default="auto")
    train.set_defaults(run=run_train)

    benchmark = commands.add_parser("benchmark", help="measure how fast this machine is")
    benchmark.add_argument("--model", default="nuclei-fluorescence", help="default: %(default)s")
    benchmark.add_argument(
        "--size", nargs=2, type=int, default=(1024, 1024), metavar=("HEIGHT", "WIDTH")
    )
    benchmark.add_argument("--seconds", type=float, default=2.0, help="length of a measurement")
    benchmark.add_argument("--json", action="store_true", help="print the figures as JSON")
    benchmark.set_defaults(run=run_benchmark)

    demo = commands.add_parser("demo", help="open napari with a sample and the widget")
    demo.add_argument("--output", type=Path, default=Path("medt-demo"), help="without a display")
    demo.set_defaults(run=run_demo)
    return parser


def run_segment(options: argparse.Namespace) -> int:
    """Segment every input; a bad one is reported and the rest still done."""
    from tqdm import tqdm

    from napari_medt.engine.device import choose_device
    from napari_medt.engine.segment import check_branches
    from napari_medt.models.store import load_model

    inputs = list_inputs(options.inputs)
    choose_device(options.device)
    model = load_model(options.model)
    check_branches(options.branches, model)
    make_folder(options.output)
    failed = 0
    for path in tqdm(inputs, desc="Segmenting", unit="image", disable=not sys.stderr.isatty()):
        try:
            segment_file(path, model, options)
        except ImageError as error:
            failed += 1
            print(f"napari-medt: {path.name}: {error}", file=sys.stderr)
    print(f"{len(inputs) - failed} of {len(inputs)} images segmented into {options.output}.")
    return 1 if failed else 0


def segment_file(path: Path, model: Any, options: argparse.Namespace) -> None:
    """Segment one file and write its results."""
    import numpy as np

    from napari_medt.engine.files import read_image, write_tiff
    from napari_medt.engine.segment import segment

    result = segment(
        read_image(path),
        model,
        options.branches,
        threshold=options.threshold,
        device=options.device,
    )
    kind = np.uint16 if result.labels.max() <= np.iinfo(np.uint16).max else np.uint32
    write_tiff(options.output / f"{path.stem}.labels.tif", result.labels.astype(kind))
    if options.probability:
        write_tiff(options.output / f"{path.stem}.probability.tif", result.probability)


def list_inputs(paths: Sequence[Path]) -> list[Path]:
    """Replace folders by their images.

    Raises
    ------
    DataError
        If there is nothing to do, or results of two inputs would have the same name.
    """
    from napari_medt.engine.files import find_images

    inputs = [file for path in paths for file in (find_images(path) if path.is_dir() else [path])]
    if not inputs:
        raise DataError(f"There are no images in {', '.join(map(str, paths))}.")
    stem, count = Counter(path.stem for path in inputs).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"{count} inputs are named {stem!r}, so their results would overwrite each other: "
            "segment them into different folders."
        )
    return inputs


def make_folder(folder: Path) -> None:
    """Make a folder that can be written to.

    Raises
    ------
    DataError
        If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The output folder {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"The output folder {folder} cannot be written to: choose another one.")


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure a model on a folder."""
    from dataclasses import asdict

    from tqdm import tqdm

    from napari_medt.engine.files import write_whole
    from napari_medt.engine.segment import check_branches
    from napari_medt.models.store import load_model
    from napari_medt.training.data import find_samples
    from napari_medt.training.evaluate import evaluate, summarise

    samples = find_samples(options.data)
    model = load_model(options.model)
    check_branches(options.branches, model)
    with tqdm(total=len(samples), unit="image", disable=not sys.stderr.isatty()) as bar:
        scores = evaluate(
            model,
            samples,
            options.branches,
            device=options.device,
            progress=lambda score: bar.update(),
        )
    summary = {"model": model.card.name, "branches": options.branches, **summarise(scores)}
    for key, value in summary.items():
        print(f"{key:>9}  {value}")
    if options.json:
        text = json.dumps({**summary, "scores": [asdict(s) for s in scores]}, indent=2) + "\n"
        make_folder(options.json.parent)
        write_whole(options.json, lambda beside: beside.write_text(text, encoding="utf-8"))
    return 0


def run_models(options: argparse.Namespace) -> int:
    """List the bundled models."""
    from napari_medt.models.store import bundled_cards

    cards = bundled_cards()
    if options.json:
        print(
            json.dumps({name: json.loads(card.to_json()) for name, card in cards.items()}, indent=2)
        )
        return 0
    for name, card in cards.items():
        print(f"{name}\n  {card.purpose}\n  {card.limits}")
        print(*(f"  {line}" for line in card.describe_accuracy()), sep="\n")
    return 0


def run_train(options: argparse.Namespace) -> int:
    """Train a model, or go on with an interrupted run."""
    from napari_medt.training.loop import train

    card = train(read_options(options), options.data, options.output, device=options.device)
    print(f"{card.name} is ready in {options.output}; on the validation images:")
    print(*(f"  {line}" for line in card.describe_accuracy()), sep="\n")
    return 0


def read_options(options: argparse.Namespace) -> Any:
    """Combine the configuration file with the options of ``train``.

    Raises
    ------
    DataError
        If the two do not make a training configuration.
    """
    from napari_medt.training.config import TrainingConfig, read_config

    values = read_config(options.config) if options.config else {}
    for name in TrainingConfig.__dataclass_fields__:
        if getattr(options, name, None) is not None:
            values[name] = getattr(options, name)
    rule = dict(values.get("input", {}))
    channels = options.channels or rule.get("channels") or first_channels(options.data)
    rule["channels"] = channels
    if options.scaling:
        rule["scaling"] = options.scaling
    try:
        return TrainingConfig.from_dict({**values, "input": rule})
    except (ValueError, TypeError) as error:
        raise DataError(f"The training settings do not fit: {error}.") from None


def first_channels(data: Path) -> str:
    """Whether the first training image is ``"gray"`` or ``"rgb"``."""
    from napari_medt.engine.files import read_image
    from napari_medt.training.data import find_splits

    return "rgb" if read_image(find_splits(data, 0)[0][0].image).ndim == 3 else "gray"


def run_benchmark(options: argparse.Namespace) -> int:
    """Measure tiles per second, and how long an image of the given size takes."""
    from dataclasses import asdict

    from napari_medt.engine.benchmark import measure_machine
    from napari_medt.models.store import load_model

    height, width = options.size
    if height < 1 or width < 1:
        raise ImageError("The size must be at least 1 x 1 pixels.")
    model = load_model(options.model)
    speeds = measure_machine(model, options.seconds)
    rows = [
        {**asdict(speed), "seconds": round(speed.seconds_for(model.card, height, width), 2)}
        for speed in speeds
    ]
    if options.json:
        print(json.dumps({"model": model.card.name, "size": [height, width], "speeds": rows}))
        return 0
    print(f"{'device':>8} {'branches':>8} {'tiles/s':>8} {f'{height} x {width}':>14}")
    for row in rows:
        speed = f"{row['tiles_per_second']:>8.1f} {row['seconds']:>12.2f} s"
        print(f"{row['device']:>8} {row['branches']:>8} {speed}")
    return 0


def run_demo(options: argparse.Namespace) -> int:
    """Open the viewer on a sample; without a display, do the same job without one."""
    if has_display():
        from napari_medt.gui.demo import show_demo

        show_demo()
        return 0
    from napari_medt.review.overlay import write_demo

    print("There is no display, so the sample is segmented without a window.")
    make_folder(options.output)
    for path in write_demo(options.output):
        print(f"Wrote {path}")
    return 0


def has_display() -> bool:
    """Whether windows can be shown. Only Linux may lack one that the environment names."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
