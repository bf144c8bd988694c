"""Errors that a user can mend: shown by the tools as one line, without a traceback."""


class UserError(ValueError):
    """Something outside the code is wrong. The message names the file, key or argument, what was
    found, what was expected, and what to do."""


class ConfigError(UserError):
    """A config key or value is wrong."""


class DatasetError(UserError):
    """A dataset's folder, list or image is missing or malformed."""


class CheckpointError(UserError):
    """A checkpoint cannot be read or does not fit."""


class TrainingError(UserError):
    """Training cannot go on (a loss is NaN or infinite)."""
