"""Errors that a user can fix. Each message is one line: what is wrong, where, and what to do."""


class TbarError(Exception):
    """Base class of errors reported as one line, without a traceback and with a non-zero exit code."""


class SpecError(TbarError):
    """A campaign spec or command-line option is invalid or cannot be carried out."""


class DataError(TbarError):
    """Shards, captions, labels or evaluation sets are missing or unreadable."""


class CheckpointError(TbarError):
    """A checkpoint is refused (pickled) or does not fit the architecture."""


class StoreError(TbarError):
    """The artifact store cannot be read or written."""


class TrackingError(TbarError):
    """The MLflow tracking server cannot be reached or rejects a record."""


class ScientificError(TbarError):
    """An experiment ran but failed (NaN loss, attack did not succeed); never retried."""
