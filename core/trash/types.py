"""Values of the trash."""

from dataclasses import dataclass

from core.grants.types import RepositoryGrant


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What did not come back of what was restored.

    Labels, by name, and grants because the label, user or group had been deleted meanwhile; the
    ends of tags, by the names of these, because they were over.
    """

    labels: tuple[str, ...] = ()
    grants: tuple[RepositoryGrant, ...] = ()
    ends: tuple[str, ...] = ()
