"""``napari-medt segment``: label images, folders and slides."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_medt.cli.options import add_device, add_model, count, from_zero, positive, probability
from napari_medt.errors import DataError, ModelError
from napari_medt.network.config import BRANCHES


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("segment", help="segment images and write their labels")
    command.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="files or folders")
    add_model(command)
    command.add_argument(
        "--output",
        required=True,
        type=Path,
        help="folder for the results; NAME.zarr streams a slide",
    )
    command.add_argument("--branches", choices=BRANCHES, default="both")
    command.add_argument("--threshold", type=probability, help="foreground probability, 0 to 1")
    add_device(command)
    command.add_argument(
        "--channel",
        type=count,
        metavar="N",
        help="1 is the first, or the red of a picture in colour; default: the first, or colours",
    )
    command.add_argument(
        "--mm-per-pixel",
        type=positive,
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
        type=count,
        metavar="N",
        help="of a slide, 1 is the finest; default: the one that fits the model",
    )
    command.add_argument(
        "--workers", type=count, metavar="N", help="do the blocks of a slide in N processes here"
    )
    command.add_argument("--probability", action="store_true", help="write probabilities too")
    command.add_argument(
        "--link", action="store_true", help="number objects through the slices of a volume"
    )
    command.add_argument(
        "--again", action="store_true", help="also what was done before with the same settings"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Segment every input; a bad one is reported at the end and the others are still done.

    Raises
    ------
    DataError
        If there is an option that the kind of output does not have, or an input or the output
        cannot be used.
    ModelError
        If the model cannot be used, or measures no lengths but is given a pixel size.
    """
    from napari_medt.engine.batch import Batch
    from napari_medt.engine.device import choose_device
    from napari_medt.engine.inputs import find_items
    from napari_medt.engine.record import BatchSettings
    from napari_medt.engine.summary import SUMMARY_FILE, failures, in_words
    from napari_medt.models.store import load_model

    if options.output.suffix == ".zarr":
        return run_slide(options)
    for name in ("scheduler", "workers", "resolution"):
        if getattr(options, name):
            raise DataError(f"--{name} is for slides: give an output NAME.zarr.")
    items = find_items(options.inputs)
    choose_device(options.device)
    model = load_model(options.model)
    if options.mm_per_pixel and not model.card.report:
        raise ModelError(f"{model.card.name} measures no lengths: leave out --mm-per-pixel.")
    settings = BatchSettings(
        branches=options.branches,
        threshold=options.threshold,
        channel=from_zero(options.channel) or 0,
        channel_given=options.channel is not None,
        link=options.link,
        mm_per_pixel=options.mm_per_pixel,
    )
    batch = Batch(
        model, options.output, settings, options.probability, options.again, options.device
    )
    results = run_batch(batch, items)
    for result in results:
        if words := result.measured.circumference_in_words():
            print(f"{result.item.label}: {words}")
    problems = failures(results)
    for problem in problems:
        print(f"napari-medt: {problem}", file=sys.stderr)
    print(f"{in_words(results)} The results and {SUMMARY_FILE} are in {options.output}.")
    return 1 if problems else 0


def run_batch(batch: Any, items: list[Any]) -> list[Any]:
    """Run a batch under a progress bar, which shows on a terminal only."""
    from tqdm import tqdm

    from napari_medt.engine.progress import STEPS

    with tqdm(bar_format="{l_bar}{bar}| {elapsed}<{remaining}", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description(f"{done // STEPS} of {total // STEPS} images")

        return batch.run(items, show)


def run_slide(options: argparse.Namespace) -> int:
    """Segment one image of any size block by block, or go on where a run was stopped.

    Raises
    ------
    DataError
        If :func:`check_slide_options` refuses the options, or the image lacks the resolution.
    """
    from tqdm import tqdm

    from napari_medt.engine.block import summary_path
    from napari_medt.engine.pyramid import open_levels
    from napari_medt.engine.slide import segment_slide
    from napari_medt.models.store import load_model

    check_slide_options(options)
    image = options.inputs[0]
    done_before = summary_path(options.output).exists()
    levels = open_levels(image, from_zero(options.channel))
    model = load_model(options.model)
    if options.resolution and options.resolution > len(levels):
        raise DataError(f"{image.name} has {len(levels)} resolutions: choose one of these.")
    with (
        choose_execute(options) as execute,
        tqdm(desc="Segmenting", unit="block", disable=None) as bar,
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
            level=from_zero(options.resolution),
            device=options.device,
            execute=execute,
            progress=show,
        )
    said = summary.in_words()
    print(f"{said} It was done before." if done_before else said)
    return 0


def check_slide_options(options: argparse.Namespace) -> None:
    """Refuse what slides do not have.

    Raises
    ------
    DataError
        If there is more than one input, or an option that slides do not have.
    """
    from napari_medt.engine.pyramid import is_zarr

    image = options.inputs[0]
    if options.link or options.again:
        raise DataError("A .zarr output has neither --link nor --again.")
    if len(options.inputs) > 1 or (image.is_dir() and not is_zarr(image)):
        raise DataError("A .zarr output takes a single image: give one, or a folder as output.")
    if options.probability or options.mm_per_pixel:
        raise DataError("A .zarr output has neither --probability nor --mm-per-pixel.")
    if options.scheduler and options.workers:
        raise DataError("--workers starts a scheduler of its own: leave out --scheduler.")


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
