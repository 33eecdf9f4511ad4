"""Errors whose message is one sentence for the user: what is wrong and what to do."""


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
