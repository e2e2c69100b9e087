"""Errors that a user can mend. Each message is one line: what is wrong, where, and what to do."""


class TbarError(Exception):
    """Base of every error that is reported as one line, without a traceback, and a non-zero exit."""


class SpecError(TbarError):
    """A campaign spec, or a command's options, that cannot be carried out as written."""


class DataError(TbarError):
    """Shards, captions, labels or evaluation sets that are missing or unreadable."""


class CheckpointError(TbarError):
    """A checkpoint that is refused (pickled) or that does not fit the architecture."""


class StoreError(TbarError):
    """The artifact store cannot be read or written."""


class TrackingError(TbarError):
    """The MLflow tracking server cannot be reached or refuses the record."""


class ScientificError(TbarError):
    """An experiment that ran but did not work (NaN loss, attack did not take): never retried."""
