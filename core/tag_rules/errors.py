"""What can be refused about immutable tags and their rules."""

from core.common.errors import DomainError, ErrorKind


class TagImmutable(DomainError):
    """A rule of the project keeps the tag from being moved or deleted; ``tag`` names it."""

    code = "PRECONDITION"
    kind = ErrorKind.PRECONDITION
    default_message = "The tag is immutable."


class TagRuleUnknown(DomainError):
    """The project has no such rule."""

    code = "TAG_RULE_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "The project has no such immutable tag rule."


class TagRuleExists(DomainError):
    """Another rule of the project has the same selectors."""

    code = "TAG_RULE_EXISTS"
    kind = ErrorKind.CONFLICT
    default_message = "The project has an immutable tag rule with these selectors already."


class TagRuleInvalid(DomainError):
    """A selector cannot be understood; the message names it."""

    code = "TAG_RULE_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The rule is not valid."


class TooManyTagRules(DomainError):
    """The project has as many rules as a project may have."""

    code = "TOO_MANY_TAG_RULES"
    kind = ErrorKind.PRECONDITION
    default_message = "A project has at most 100 immutable tag rules."
