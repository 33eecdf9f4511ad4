"""The command line: the plugin's jobs without a screen."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_medt.engine.device import DEVICES
from napari_medt.errors import (
    DataError,
    ImageError,
    ModelError,
    UserError,
    file_trouble,
    out_of_memory,
)
from napari_medt.network.config import ARCHITECTURES, BRANCHES

LARGEST_SIDE = 10**9  # in pixels: more tiles cannot be counted
WITH_LESS_MEMORY = {
    "segment": "segment a smaller part of the image, or use a machine with more",
    "evaluate": "measure on smaller images, or use a machine with more",
    "train": "choose a smaller --batch-size or --image-size, or use a machine with more",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``napari-medt``.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 if anything failed, 2 for a misspelt command, 130 when interrupted,
        141 when nobody reads on what is printed.
    """
    open_streams()
    options = make_parser().parse_args(arguments)
    print_any_name()
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"napari-medt: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            return 141
        print(f"napari-medt: {file_trouble(error)}.", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        way_out = WITH_LESS_MEMORY.get(options.command, "use a machine with more")
        print(f"napari-medt: There is too little memory: {way_out}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("napari-medt: stopped.", file=sys.stderr)
        return 130


def open_streams() -> None:
    """Let what is printed go nowhere where there is no place for it, as in services."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def print_any_name() -> None:
    """Let consoles show names of files that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def nobody_reads() -> bool:
    """Whether what is printed goes nowhere, as after ``| head`` has seen enough."""
    try:
        print(flush=True)
    except BrokenPipeError:
        # Python prints what is left as it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


class ShowVersion(argparse.Action):
    """Print the version, looked up only now, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Do it."""
        from napari_medt import __version__

        print(f"napari-medt {__version__}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """Build the parser; each command sets ``run`` to its function."""
    parser = argparse.ArgumentParser(
        prog="napari-medt", description="Segment medical images with the Medical Transformer."
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for add in (add_segment, add_evaluate, add_models, add_train, add_benchmark, add_demo):
        add(commands)
    return parser


def add_segment(commands: Any) -> None:
    """Add ``segment`` and its options."""
    command = commands.add_parser("segment", help="segment images and write their labels")
    command.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="files or folders")
    command.add_argument("--model", required=True, help="bundled name, model folder or .pth file")
    command.add_argument(
        "--output",
        required=True,
        type=Path,
        help="folder for the results; NAME.zarr streams a slide",
    )
    command.add_argument("--branches", choices=BRANCHES, default="both")
    command.add_argument("--threshold", type=_probability, help="foreground probability, 0 to 1")
    command.add_argument("--device", choices=DEVICES, default="auto")
    command.add_argument(
        "--channel",
        type=_count,
        metavar="N",
        help="1 is the first, or the red of a picture in colour; default: the first, or colours",
    )
    command.add_argument(
        "--mm-per-pixel",
        type=_positive,
        metavar="MM",
        help="side of a pixel, for circumferences; default: what the file says",
    )
    command.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="do the blocks of a slide on Dask's workers, tcp://HOST:PORT",
    )
    command.add_argument(
        "--resolution",
        type=_count,
        metavar="N",
        help="of a slide, 1 is the finest; default: the one that fits the model",
    )
    command.add_argument(
        "--workers", type=_count, metavar="N", help="do the blocks of a slide in N processes here"
    )
    command.add_argument("--probability", action="store_true", help="write probabilities too")
    command.add_argument(
        "--link", action="store_true", help="number objects through the slices of a volume"
    )
    command.add_argument(
        "--again", action="store_true", help="also what was done before with the same settings"
    )
    command.set_defaults(run=run_segment)


def run_segment(options: argparse.Namespace) -> int:
    """Segment every input; a bad one is reported in the end and the rest still done."""
    from napari_medt.engine.batch import Batch
    from napari_medt.engine.device import choose_device
    from napari_medt.engine.inputs import find_items
    from napari_medt.engine.record import Settings
    from napari_medt.engine.summary import SUMMARY_FILE, failures, in_words
    from napari_medt.models.store import load_model

    if options.output.suffix == ".zarr":
        if options.link or options.again:
            raise DataError("A .zarr output has neither --link nor --again.")
        return run_slide(options)
    for name in ("scheduler", "workers", "resolution"):
        if getattr(options, name):
            raise DataError(f"--{name} is for slides: give an output NAME.zarr.")
    items = find_items(options.inputs)
    choose_device(options.device)
    model = load_model(options.model)
    if options.mm_per_pixel and not model.card.report:
        raise ModelError(f"{model.card.name} measures no lengths: leave out --mm-per-pixel.")
    settings = Settings(
        branches=options.branches,
        threshold=options.threshold,
        channel=(options.channel or 1) - 1,
        channel_given=options.channel is not None,
        link=options.link,
        mm_per_pixel=options.mm_per_pixel,
    )
    batch = Batch(
        model, options.output, settings, options.probability, options.again, options.device
    )
    results = run_batch(batch, items)
    for result in results:
        if words := result.found.circumference_in_words():
            print(f"{result.item.label}: {words}")
    problems = failures(results)
    for problem in problems:
        print(f"napari-medt: {problem}", file=sys.stderr)
    print(f"{in_words(results)} The results and {SUMMARY_FILE} are in {options.output}.")
    return 1 if problems else 0


def run_batch(batch: Any, items: list[Any]) -> list[Any]:
    """Run a batch under a progress bar."""
    from tqdm import tqdm

    from napari_medt.engine.progress import STEPS

    shape = "{l_bar}{bar}| {elapsed}<{remaining}"
    with tqdm(bar_format=shape, disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description(f"{done // STEPS} of {total // STEPS} images")

        return batch.run(items, show)


def run_slide(options: argparse.Namespace) -> int:
    """Segment one image of any size block by block, or go on where a run was stopped.

    Raises
    ------
    DataError
        If there is more than one input, or an option that slides do not have.
    """
    from tqdm import tqdm

    from napari_medt.engine.block import summary_path
    from napari_medt.engine.pyramid import open_levels
    from napari_medt.engine.slide import segment_slide
    from napari_medt.models.store import load_model

    image = options.inputs[0]
    if len(options.inputs) > 1 or (image.is_dir() and not is_zarr(image)):
        raise DataError("A .zarr output takes a single image: give one, or a folder as output.")
    if options.probability or options.mm_per_pixel:
        raise DataError("A .zarr output has neither --probability nor --mm-per-pixel.")
    if options.scheduler and options.workers:
        raise DataError("--workers starts a scheduler of its own: leave out --scheduler.")
    done_before = summary_path(options.output).exists()
    levels = open_levels(image, options.channel and options.channel - 1)
    model = load_model(options.model)
    if options.resolution and options.resolution > len(levels):
        raise DataError(f"{image.name} has {len(levels)} resolutions: choose one of these.")
    with (
        choose_execute(options) as execute,
        tqdm(desc="Segmenting", unit="block", disable=not sys.stderr.isatty()) as bar,
    ):

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        summary = segment_slide(
            levels,
            model,
            options.output,
            options.branches,
            threshold=options.threshold,
            level=options.resolution and options.resolution - 1,
            device=options.device,
            execute=execute,
            progress=show,
        )
    print(summary.in_words() + " It was done before." * done_before)
    return 0


@contextmanager
def choose_execute(options: argparse.Namespace) -> Iterator[Any]:
    """Give the way to do blocks that the options ask for; None does them here."""
    if not options.scheduler and not options.workers:
        yield None
        return
    from napari_medt.engine.cluster import OnCluster, connect, start_workers

    ready = connect(options.scheduler) if options.scheduler else start_workers(options.workers)
    with ready as client:
        yield OnCluster(client, options.inputs[0], options.model)


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))


def add_evaluate(commands: Any) -> None:
    """Add ``evaluate`` and its options."""
    command = commands.add_parser("evaluate", help="measure a model on images with known labels")
    command.add_argument("--model", required=True, help="bundled name, model folder or .pth file")
    command.add_argument("--data", required=True, type=Path, help="folder of images/ and labels/")
    command.add_argument(
        "--branches",
        choices=(*BRANCHES, "all"),
        default="all",
        help="default: all settings the model has, one after the other",
    )
    command.add_argument("--device", choices=DEVICES, default="auto")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the scores as JSON")
    command.add_argument("--worst", type=Path, metavar="FILE", help="draw the worst cases as PNG")
    command.add_argument(
        "--save-card",
        action="store_true",
        help="calibrate a model folder of your own and put what was measured on its card",
    )
    command.set_defaults(run=run_evaluate)


def run_evaluate(options: argparse.Namespace) -> int:
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
        with tqdm(samples, desc=branches, unit="image", disable=not sys.stderr.isatty()) as bar:
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
    """Refuse what ``evaluate`` could not write, before it measures for minutes.

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
    """Write what was measured as JSON: the summary, and every image, per branch setting."""
    from napari_medt.engine.files import write_text

    report = {
        "model": model.card.name,
        "temperature": model.card.temperature,
        "accuracy": accuracy,
        "scores": {
            branches: [{"image": score.sample.image.name, **score.measures} for score in found]
            for branches, found in scores.items()
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    write_text(path, text)


def add_models(commands: Any) -> None:
    """Add ``models`` and its options."""
    command = commands.add_parser("models", help="list the bundled models and their cards")
    command.add_argument("--json", action="store_true", help="print the cards as JSON")
    command.add_argument("--gates", metavar="MODEL", help="show what the gates of a model became")
    command.set_defaults(run=run_models)


def run_models(options: argparse.Namespace) -> int:
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
    """Print what the gates of a model became."""
    import textwrap

    from napari_medt.models.gates import MEANING, gate_lines
    from napari_medt.models.store import load_model

    lines = gate_lines(load_model(name).network)
    if not lines:
        print(f"{name} has no gates: its attention is not gated.")
        return 0
    print(*lines, "", textwrap.fill(MEANING, 88), sep="\n")
    return 0


def add_train(commands: Any) -> None:
    """Add ``train`` and its options."""
    command = commands.add_parser("train", help="train a model on your own images")
    command.add_argument(
        "--data",
        required=True,
        type=Path,
        help="folder of train/ and val/, or of images/ and labels/, which is split",
    )
    command.add_argument("--output", required=True, type=Path, help="model folder to make")
    command.add_argument("--config", type=Path, help="JSON file of settings; options below win")
    command.add_argument("--name", help="the model's name")
    command.add_argument("--start-from", metavar="MODEL", help="start from a model's weights")
    command.add_argument("--architecture", choices=ARCHITECTURES)
    command.add_argument("--image-size", type=int, metavar="PIXELS")
    command.add_argument("--target", choices=("instances", "classes"), help="what labels are")
    command.add_argument("--classes", nargs="+", metavar="NAME", help="names, background first")
    command.add_argument("--channels", choices=("gray", "rgb"), help="default: as the first image")
    command.add_argument("--scaling", choices=("tiled", "whole"), help="crops, or images resized")
    command.add_argument("--augmentation", metavar="NAME", help="fluorescence, histology, ...")
    command.add_argument("--epochs", type=int)
    command.add_argument("--images-per-epoch", type=int)
    command.add_argument("--batch-size", type=int)
    command.add_argument("--learning-rate", type=float)
    command.add_argument("--seed", type=int)
    command.add_argument("--device", choices=DEVICES, default="auto")
    command.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> int:
    """Train a model, or go on with an interrupted run."""
    from napari_medt.models.accuracy import accuracy_lines
    from napari_medt.training.loop import train

    card = train(read_options(options), options.data, options.output, device=options.device)
    print(f"{card.name} is ready in {options.output}. On the validation images:")
    print(*(f"  {line}" for line in accuracy_lines(card.accuracy)), sep="\n")
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
    given = values.get("input", {})
    if not isinstance(given, dict):
        raise DataError("The training settings do not fit: input must be an object of settings.")
    channels = options.channels or given.get("channels") or first_channels(options.data)
    rule = {**given, "channels": channels}
    if options.scaling:
        rule["scaling"] = options.scaling
    try:
        return TrainingConfig.from_dict({**values, "input": rule})
    except (ValueError, TypeError) as error:
        raise DataError(f"The training settings do not fit: {error}.") from None


def first_channels(data: Path) -> str:
    """Whether the first training image is ``"gray"`` or ``"rgb"``."""
    from napari_medt.engine.formats.plain import read_image
    from napari_medt.training.samples import find_splits

    return "rgb" if read_image(find_splits(data)[0][0].image).ndim == 3 else "gray"


def add_benchmark(commands: Any) -> None:
    """Add ``benchmark`` and its options."""
    command = commands.add_parser("benchmark", help="measure how fast this machine is")
    command.add_argument("--model", default="nuclei-fluorescence", help="default: %(default)s")
    command.add_argument(
        "--size", nargs=2, type=int, default=(1024, 1024), metavar=("HEIGHT", "WIDTH")
    )
    command.add_argument("--seconds", type=_positive, default=2.0, help="length of a measurement")
    command.add_argument("--json", action="store_true", help="print the figures as JSON")
    command.set_defaults(run=run_benchmark)


def run_benchmark(options: argparse.Namespace) -> int:
    """Measure tiles per second, and how long an image of the given size takes."""
    from dataclasses import asdict

    from napari_medt.engine.benchmark import measure_machine
    from napari_medt.models.store import load_model

    height, width = options.size
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise ImageError(f"The size must be from 1 to {LARGEST_SIDE} pixels a side.")
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


def add_demo(commands: Any) -> None:
    """Add ``demo`` and its options."""
    command = commands.add_parser("demo", help="open napari with a sample and the widget")
    command.add_argument("--output", type=Path, default=Path("medt-demo"), help="without a display")
    command.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Open the viewer on a sample; without a display, do the same job without one."""
    if has_display():
        try:
            from napari_medt.gui.demo import show_demo

            show_demo()
        except ImportError:  # napari comes without Qt
            raise UserError(
                'The viewer needs Qt: install it with `pip install "napari-medt[all]"`.'
            ) from None
        return 0
    from napari_medt.engine.files import make_folder
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


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
