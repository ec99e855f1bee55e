"""Refusals and interruptions of runs."""

from core.common.errors import DomainError, ErrorKind


class RunInProgress(DomainError):
    """Another unfinished run holds the same concurrency key."""

    code = "CONFLICT"
    kind = ErrorKind.CONFLICT
    default_message = "Such a run is already waiting or running."


class RunStopped(Exception):
    """Somebody asked to stop this run. Work lets it pass; the task base records it."""


class RunLost(Exception):
    """Another worker has taken this run over, or it was ended from outside."""
