"""Values of the trash."""

from dataclasses import dataclass

from core.grants.types import RepositoryGrant


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What did not come back because the label, user or group had been deleted meanwhile.

    Labels are names, grants what they were.
    """

    labels: tuple[str, ...] = ()
    grants: tuple[RepositoryGrant, ...] = ()
