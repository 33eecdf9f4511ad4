"""Errors whose message is one sentence for the user: what is wrong and what to do."""

import errno

# As PyTorch words it: on GPUs, on a CPU, and on a CPU under Windows.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class UserError(ValueError):
    """Something the user can mend; shown without a traceback."""


class ModelError(UserError):
    """A model that cannot be found, opened or trusted."""


class ImageError(UserError):
    """An image that cannot be segmented."""


class DeviceError(UserError):
    """A compute device that is not there."""


class DataError(UserError):
    """A training or evaluation folder that cannot be used."""


class ClusterError(UserError):
    """Workers or a scheduler that are not there, or do not fit."""


class Cancelled(Exception):
    """The user asked to stop."""


def file_trouble(error: OSError, name: object = None, advice: str = "") -> str:
    """Say which file cannot be read or written and why, or that the disk is full.

    Parameters
    ----------
    error : OSError
        What was raised.
    name : object, optional
        What to call the file; by default the name in the error, which may be a temporary one.
    advice : str
        What to do about it, unless the disk is full.
    """
    if error.errno == errno.ENOSPC:  # which is no fault of the file
        return "The disk is full: make room on it, and try again."
    name = name or error.filename2 or error.filename or "A file"
    advice = f": {advice}" if advice else ""
    return f"{name} cannot be read or written ({error.strerror or error}){advice}."


def out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out; backends differ in type and wording."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
