"""Reading repository grants."""

from core.artifacts.models import Repository
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant
from core.grants.types import RepositoryGrant, RepositoryRight


def list_repository_grants(repository: Repository) -> list[RepositoryGrant]:
    """Return who holds which right on the repository: users first, then by name and right."""
    users = (
        RepositoryUserGrant.objects.filter(content_object=repository)
        .order_by("user__username", "permission__codename")
        .values_list("user_id", "user__username", "permission__codename")
    )
    groups = (
        RepositoryGroupGrant.objects.filter(content_object=repository)
        .order_by("group__name", "permission__codename")
        .values_list("group_id", "group__name", "permission__codename")
    )
    return [
        RepositoryGrant(kind, subject_id, name, RepositoryRight(codename))
        for kind, rows in (("user", users), ("group", groups))
        for subject_id, name, codename in rows
    ]
