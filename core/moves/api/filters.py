"""Which redirects are shown, and how they are filtered and ordered."""

from django.db.models import Exists, Func, OuterRef, Q, QuerySet, Value

from core.api.listing import Column, ColumnKind, Listing
from core.artifacts.models import Redirect
from core.members.api.filters import projects_where
from core.projects.models import Project
from core.rbac.types import Actor

REDIRECT_LISTING = Listing(
    columns={
        "name": Column("name"),
        "creation_time": Column("created_at", ColumnKind.TIME),
    },
    default_order=("name",),
)

# Another project has the name now: what look-ups ask as well, whether or not the row is removed.
_OVER = Exists(
    Project.objects.filter(
        name=Func(OuterRef("name"), Value("/"), Value(1), function="split_part")
    ).exclude(pk=OuterRef("project_id"))
)


def visible_redirects(actor: Actor, repository_id: int, project_id: int) -> "QuerySet[Redirect]":
    """Return the former names by which pulls find a repository, as far as the actor may know them.

    Those in its project, and in others whose repositories the actor may list.
    """
    redirects = Redirect.objects.filter(~_OVER, repository_id=repository_id)
    if actor.is_system_admin and actor.scope_projects is None:
        # Also names in projects that are gone.
        return redirects
    known = Q(project_id=project_id)
    return redirects.filter(known | Q(project_id__in=projects_where(actor, "repository:list")))
