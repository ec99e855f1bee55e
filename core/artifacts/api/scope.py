"""The base of every view below ``/projects/{project_name}/repositories/{repository}``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.functional import cached_property
from rest_framework.request import Request

from core.api.views import ManagementView
from core.artifacts import queries
from core.artifacts.errors import ManifestUnknown, NameUnknown
from core.artifacts.models import Manifest, Repository
from core.artifacts.types import TargetLookup
from core.oci.digest import Digest
from core.oci.reference import parse_reference
from core.rbac.types import Target


class RepositoryScopedView(ManagementView):
    """A resource of the repository that the path names.

    Whoever may not know of the repository is refused before it is looked for in vain. The
    methods in ``creates_repositories`` do without one, but not without the project.
    """

    creates_repositories: ClassVar[frozenset[str]] = frozenset()

    @property
    def full_name(self) -> str:
        """The repository's name with its project."""
        return f"{self.kwargs['project_name']}/{self.kwargs['repository']}"

    @cached_property
    def lookup(self) -> TargetLookup:
        """Where the name leads; the caller's credentials were checked in this request."""
        return queries.find_target(self.full_name, self.actor.subject)

    @property
    def target(self) -> Target:
        """The repository in its project."""
        return self.lookup.target(self.full_name)

    @property
    def repository_id(self) -> int:
        """The repository's id, 0 for a missing one."""
        return self.lookup.repository_id or 0

    @property
    def existing_project_id(self) -> int:
        """The project's id. Raises ``NameUnknown``, which only those see who may."""
        if self.lookup.project is None:
            raise NameUnknown(f"There is no project {self.kwargs['project_name']}.")
        return self.lookup.project.id

    @cached_property
    def repository(self) -> Repository:
        """The repository. Raises ``NameUnknown``, which only those see who may."""
        found = Repository.objects.filter(pk=self.repository_id).first()
        if found is None:
            raise NameUnknown(f"There is no repository {self.full_name}.")
        return found

    @cached_property
    def manifest(self) -> Manifest:
        """The artifact that ``reference`` names. Raises ``ManifestUnknown``, ``DigestInvalid``."""
        reference = parse_reference(self.kwargs["reference"])
        manifests = Manifest.objects.filter(repository=self.repository).defer("payload")
        if isinstance(reference, Digest):
            found = manifests.filter(digest=reference.to_bytes()).first()
        else:
            found = manifests.filter(tags__name=reference, tags__ended_at=None).first()
        if found is None:
            raise ManifestUnknown(f"There is no artifact {self.full_name}:{reference}.")
        found.repository = self.repository
        return found

    @property
    def named(self) -> Mapping[str, object]:
        """What the path names, by ids: an artifact goes by its digest and by all its tags."""
        by_id = ("project_name", "repository", "reference")
        named: dict[str, object] = {k: v for k, v in self.kwargs.items() if k not in by_id}
        named["repository"] = self.repository_id
        if "reference" in self.kwargs:
            named["manifest"] = self.manifest.pk
        return named

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authorize first, then insist that the repository exists."""
        super().initial(request, *args, **kwargs)
        if request.method in self.creates_repositories:
            _ = self.existing_project_id
        elif self.lookup.repository_id is None:
            raise NameUnknown(f"There is no repository {self.full_name}.")
