"""Errors that a user can fix. Each message is one line: what is wrong, where, and what to do."""

from __future__ import annotations

from tbar_ray.redaction import redact_all


class TbarError(Exception):
    """Base class of errors reported as one line, without a traceback and with a non-zero exit code.

    Secrets in the message are left out from the start: it goes to terminals, logs, records and MLflow.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*redact_all(args))


class SpecError(TbarError):
    """A campaign spec or command-line option is invalid or cannot be carried out."""


class DataError(TbarError):
    """Shards, captions, labels or evaluation sets are missing or unreadable."""


class ShardChangedError(DataError):
    """A shard is no longer what it was when it was indexed: whatever reads on computes something that has no name."""


class CheckpointError(TbarError):
    """A checkpoint is refused (pickled) or does not fit the architecture."""


class ResumeError(CheckpointError):
    """A checkpoint from which a training cannot go on; without it the training starts anew."""


class StoreError(TbarError):
    """The artifact store cannot be read or written."""


class BrokenArtifactError(StoreError):
    """An artifact's bytes are not what was committed; it counts as absent.

    Args:
        message: the line.
        artifact: the artifact's name.
        why: what is wrong with it.
    """

    def __init__(self, message: str, artifact: str, why: str = "") -> None:
        super().__init__(message, artifact, why)  # all, so that it can travel between processes
        self.artifact, self.why = artifact, why

    def __str__(self) -> str:
        return str(self.args[0])


class NoBackdoorError(TbarError):
    """A model is not cleaned, since it has no backdoor as far as was measured."""


class TrackingError(TbarError):
    """The MLflow tracking server cannot be reached or rejects a record."""


class ScientificError(TbarError):
    """An experiment ran but failed (NaN loss, attack did not succeed); never retried."""


def first_line(error: BaseException, most: int | None = None) -> str:
    """First line of what an exception says, cut to `most` characters; its type's name where it says nothing.

    Of an OSError it is the system's word for the error, without number and path.
    """
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:most]


def one_line(error: BaseException) -> str:
    """All that an exception says, as one line; its type's name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
