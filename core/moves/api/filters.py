"""Which redirects are shown, and how they are filtered and ordered."""

from django.db.models import Q, QuerySet

from core.api.listing import Column, ColumnKind, Listing
from core.artifacts.models import Redirect
from core.members.api.filters import projects_where
from core.rbac.types import Actor

REDIRECT_LISTING = Listing(
    columns={
        "name": Column("name"),
        "creation_time": Column("created_at", ColumnKind.TIME),
    },
    default_order=("name",),
)


def visible_redirects(actor: Actor, repository_id: int, project_id: int) -> "QuerySet[Redirect]":
    """Return the former names of a repository that the actor may know of.

    Those in its project, and in others whose repositories the actor may list.
    """
    redirects = Redirect.objects.filter(repository_id=repository_id)
    if actor.is_system_admin and actor.scope_projects is None:
        # Also names in projects that are gone.
        return redirects
    known = Q(project_id=project_id)
    return redirects.filter(known | Q(project_id__in=projects_where(actor, "repository:list")))
