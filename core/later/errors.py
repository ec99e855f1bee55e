"""Refusals of operations that come later."""

from core.common.errors import DomainError, ErrorKind


class FeatureMissing(DomainError):
    """The operation belongs to a feature that this version does not have."""

    code = "NOT_IMPLEMENTED"
    kind = ErrorKind.NOT_IMPLEMENTED
    default_message = "This version does not have the feature."
