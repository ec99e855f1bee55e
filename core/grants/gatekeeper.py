"""Ends what rests on the grants of a repository that goes; named in ``GATEKEEPERS``.

A repository may be made again under the name, by somebody who grants nothing to anybody.
"""

from core.artifacts.types import PendingWrite
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant
from core.members.services import people_behind
from core.users.revocations import revoke_registry_tokens_locked


def withdraw_tokens(write: PendingWrite) -> None:
    """Withdraw the registry tokens of everybody who was granted something; refuses nothing."""
    if write.action != "repository.delete":
        return
    held = {"content_object": write.repository_id}
    people = people_behind(
        RepositoryUserGrant.objects.filter(**held).values_list("user_id", flat=True),
        RepositoryGroupGrant.objects.filter(**held).values_list("group_id", flat=True),
    )
    revoke_registry_tokens_locked(*people)
