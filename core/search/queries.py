"""Finding projects and repositories by a part of their name."""

from typing import Final, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.functions import Length

from core.artifacts.api.filters import visible_repositories
from core.artifacts.models import Repository
from core.members.api.filters import visible_projects
from core.projects.models import Project
from core.rbac.types import Actor

MAXIMUM_HITS = 100
"""How many projects, and how many repositories, a search shows."""

_CLOSEST_FIRST: Final = (Length("name"), "name")

Row = TypeVar("Row", bound=Model)


def find_projects(actor: Actor, text: str) -> "QuerySet[Project]":
    """Return the visible projects whose name contains the text, the closest first."""
    return _closest(visible_projects(actor), text)


def find_repositories(actor: Actor, text: str) -> "QuerySet[Repository]":
    """Return the visible repositories, with project, whose full name contains the text.

    Projects are joined to the hits, not to everything that the hits are chosen from.
    """
    hits = _closest(visible_repositories(actor), text).values("pk")
    found = Repository.objects.filter(pk__in=hits).select_related("project")
    return found.order_by(*_CLOSEST_FIRST)


def _closest(rows: "QuerySet[Row]", text: str) -> "QuerySet[Row]":
    """Return so many hits that the shortest names, which the text matches best, are there.

    Names have no capital letters, so nothing has to be turned into another case for each of them.
    """
    return rows.filter(name__contains=text.lower()).order_by(*_CLOSEST_FIRST)[:MAXIMUM_HITS]
