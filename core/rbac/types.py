"""Plain values of authorization: who acts, on what, and what was decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from core.common.origin import Origin


class ActorKind(StrEnum):
    """The five kinds of subject that act on the registry."""

    USER = "user"
    ROBOT = "robot"
    JOB = "job"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever performs a request or a run.

    ``own_permissions`` is None for subjects whose rights come from roles (users). For robots
    it holds the permissions fixed on the robot itself: project name (``"*"`` for every
    project, ``"/"`` for the system) to a set of permission names such as
    ``repository:pull``.

    ``scopes`` is None when the credentials carry the subject's full rights. A personal access
    token narrows it to the listed scopes (see ``core.rbac.rules.scope_covers``), and
    ``scope_projects`` narrows it further to the named projects. Nothing issued to the actor may
    outlive ``expires_at``.
    """

    kind: ActorKind
    id: int | None
    label: str
    origin: Origin
    is_system_admin: bool = False
    token_id: int | None = None
    scopes: frozenset[str] | None = None
    scope_projects: frozenset[str] | None = None
    expires_at: datetime | None = None
    own_permissions: Mapping[str, frozenset[str]] | None = field(default=None, hash=False)

    @property
    def subject(self) -> str:
        """Stable key of the subject: ``user:5``, ``robot:7``, or the kind alone."""
        return f"{self.kind}:{self.id}" if self.id is not None else str(self.kind)

    @property
    def is_anonymous(self) -> bool:
        """Whether no credentials were presented."""
        return self.kind is ActorKind.ANONYMOUS

    @property
    def is_unlimited(self) -> bool:
        """Whether the subject acts itself and not through a token, whatever that may do."""
        return self.token_id is None and self.scopes is None and self.scope_projects is None

    @classmethod
    def anonymous(cls, origin: Origin) -> "Actor":
        """The actor of a request without credentials."""
        return cls(kind=ActorKind.ANONYMOUS, id=None, label="anonymous", origin=origin)

    @classmethod
    def system(cls) -> "Actor":
        """The product itself: commands on the server's own machine and first start."""
        return cls(
            kind=ActorKind.SYSTEM,
            id=None,
            label="system",
            origin=Origin.internal(),
            is_system_admin=True,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is about.

    The system itself has neither project nor repository. ``project_id`` is None also for a
    project that does not exist: the evaluator then finds no grant, so a missing project is
    answered exactly as one the actor may not see.
    """

    project_id: int | None = None
    project_name: str = ""
    is_public: bool = False
    repository_id: int | None = None
    repository_name: str = ""

    @classmethod
    def of_system(cls) -> "Target":
        """The installation as a whole."""
        return cls()

    def as_private(self) -> "Target":
        """The same, to ask what somebody was given: what is public may become private."""
        return replace(self, is_public=False)

    @property
    def is_system(self) -> bool:
        """Whether the action concerns the installation rather than a project."""
        return not self.project_name


@dataclass(frozen=True, slots=True)
class Grant:
    """One reason why a subject holds permissions in a project or on a repository.

    ``role`` is a role's name. ``permissions`` is filled for custom roles and repository
    grants; for built-in roles it is None and the evaluator takes the role's matrix.
    ``source`` says in words where the grant comes from, for ``explain``.
    """

    role: str
    source: str
    permissions: frozenset[str] | None = None
    repository_id: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Answer of ``explain``: the decision and every reason that led to it."""

    allowed: bool
    permission: str
    reasons: tuple[str, ...]
