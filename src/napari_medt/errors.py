"""Errors whose message is one sentence for the user: what is wrong and what to do."""

# In the errors of GPUs, of torch on a CPU, and of that on Windows.
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


def file_trouble(error: OSError) -> str:
    """Say which file cannot be read or written and why, without a full stop."""
    name, reason = error.filename2 or error.filename or "A file", error.strerror or error
    return f"{name} cannot be read or written ({reason})"


def out_of_memory(error: Exception) -> bool:
    """Whether the memory, or a device's, is too small; backends differ in type and words."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
