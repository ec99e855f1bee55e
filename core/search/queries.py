"""Finding projects and repositories by a part of their name."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.db.models.functions import Length

from core.artifacts.api.filters import visible_repositories
from core.artifacts.models import Repository
from core.members.api.filters import visible_projects
from core.projects.models import Project
from core.rbac.types import Actor

MAXIMUM_HITS = 100
"""How many projects, and how many repositories, a search shows."""

Row = TypeVar("Row", bound=Model)


def find_projects(actor: Actor, text: str) -> "QuerySet[Project]":
    """Return the visible projects whose name contains the text, the closest first."""
    return _closest(visible_projects(actor), text)


def find_repositories(actor: Actor, text: str) -> "QuerySet[Repository]":
    """Return the visible repositories, with project, whose full name contains the text."""
    return _closest(visible_repositories(actor).select_related("project"), text)


def _closest(rows: "QuerySet[Row]", text: str) -> "QuerySet[Row]":
    """Return so many hits that the shortest names, which the text matches best, are there."""
    return rows.filter(name__icontains=text).order_by(Length("name"), "name")[:MAXIMUM_HITS]
