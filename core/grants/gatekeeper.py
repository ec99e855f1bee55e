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
    # Held before the revocations, as by whoever deletes a user or a group with its rights.
    user_grants = RepositoryUserGrant.objects.filter(content_object=write.repository_id)
    group_grants = RepositoryGroupGrant.objects.filter(content_object=write.repository_id)
    people = people_behind(
        user_grants.order_by("pk").select_for_update().values_list("user_id", flat=True),
        group_grants.order_by("pk").select_for_update().values_list("group_id", flat=True),
    )
    revoke_registry_tokens_locked(*people)
