"""The command line: the plugin's jobs without a screen."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from napari_medt.cli import benchmark, demo, evaluate, models, segment, train
from napari_medt.errors import UserError, file_trouble, out_of_memory

COMMANDS = (segment, evaluate, models, train, benchmark, demo)
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
        Exit status: 0, 1 if anything failed, 2 for a misspelt command, 130 when interrupted, 141
        when the reader of its output is gone.
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
        if isinstance(error, BrokenPipeError) and reader_is_gone():
            return 141
        print(f"napari-medt: {file_trouble(error)}", file=sys.stderr)
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
    """Discard output where there is no stdout or stderr, as in services."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def print_any_name() -> None:
    """Let consoles show names of files that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def reader_is_gone() -> bool:
    """Whether the reader of stdout is gone, as after ``| head``."""
    try:
        print(flush=True)
    except BrokenPipeError:
        # Python prints what is left as it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


class ShowVersion(argparse.Action):
    """Print the version, looked up only now, and exit."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the version and exit."""
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
    for command in COMMANDS:
        command.add(commands)
    return parser
