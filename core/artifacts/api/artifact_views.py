"""Artifacts of a repository, their tags and what is attached to them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest, about_member
from core.api.flags import flag
from core.api.pagination import Stretch
from core.api.permissions import Access
from core.api.query_language import parse_query
from core.artifacts import queries
from core.artifacts.api.bulk import artifact_context, companions_of, immutability_of
from core.artifacts.api.filters import (
    TAG_LISTING,
    accessory_listing,
    artifact_listing,
    artifacts_in,
    artifacts_of,
    count_tagged,
    live_tags_in,
    live_tags_of,
    newest_of_each_repository,
    without_payload,
)
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.api.serializers import (
    AccessorySerializer,
    ArtifactSerializer,
    TagRequestSerializer,
    TagSerializer,
)
from core.artifacts.errors import ManifestUnknown
from core.artifacts.errors import PreconditionFailed as TagMoved
from core.artifacts.models import Manifest, Tag
from core.artifacts.rules import parse_source
from core.artifacts.services.copies import copy_artifact
from core.artifacts.services.deleting import delete_artifact
from core.artifacts.services.labels import add_label, remove_label
from core.artifacts.services.tags import create_tag, delete_tag
from core.labels.api.serializers import LabelReferenceSerializer
from core.oci.digest import Digest
from core.oci.reference import parse_tag
from core.oci.referrers import is_signature_tag
from core.projects.api.scope import ProjectView

_WITH_IMMUTABLE_STATUS = OpenApiParameter(
    "with_immutable_status",
    bool,
    description="Accepted for clients that ask; tags always say whether they are immutable.",
    default=True,
)
_FLAGS = (
    OpenApiParameter("with_tag", bool, description="With tags.", default=True),
    OpenApiParameter("with_label", bool, description="With labels.", default=False),
    OpenApiParameter("with_accessory", bool, description="With accessories.", default=False),
    OpenApiParameter(
        "with_inherited_accessory",
        bool,
        description="With the accessories of the indexes that list an artifact.",
        default=False,
    ),
    _WITH_IMMUTABLE_STATUS,
    OpenApiParameter(
        "with_scan_overview", bool, description="With reports of scans, of which there are none."
    ),
    OpenApiParameter(
        "with_sbom_overview", bool, description="With made SBOMs, of which there are none."
    ),
)
_TRUTH_VALUES = ("with_immutable_status", "with_scan_overview", "with_sbom_overview")


class ArtifactsView(RepositoryScopedView):
    """The artifacts of a repository."""

    access: ClassVar[dict[str, Access]] = {"GET": "artifact:list", "POST": "artifact:create"}
    creates_repositories = frozenset({"POST"})

    @operation(
        "List artifacts",
        tag="artifacts",
        answer=ArtifactSerializer,
        is_list=True,
        has_query=True,
        parameters=_FLAGS,
    )
    def get(self, request: Request, project_name: str, repository: str) -> Response:
        """Return the newest artifact first; children of an index and accessories are hidden."""
        query = request.query_params.get("q", "")
        tagged = count_tagged(self.repository, query)
        are_all_tagged = tagged is not None and tagged.are_all
        return self.page(
            artifacts_of(self.repository, "" if are_all_tagged else query),
            ArtifactSerializer,
            artifact_listing(live_tags_of(self.repository), are_all_tagged=are_all_tagged),
            partial(_context, self.repository.project_id, _flags(request)),
            # They have the repository that was read already.
            details=without_payload(self.repository.manifests.all()),
            count=lambda _request: None if tagged is None else [Stretch(tagged.artifacts)],
        )

    @operation(
        "Copy an artifact",
        tag="artifacts",
        status=201,
        parameters=[
            OpenApiParameter(
                "from",
                str,
                required=True,
                description="What to copy: project/repository:tag or project/repository@digest.",
            )
        ],
        errors=(409, 412),
    )
    def post(self, request: Request, project_name: str, repository: str) -> Response:
        """Let the repository have the artifact with all that belongs to it, without moving bytes.

        A tag names it here, too; one that names something else here is never moved (409).
        """
        source, reference = parse_source(request.query_params.get("from", ""))
        self.authorize("repository:push", self.target)
        origin = queries.find_target(source, self.actor.subject).target(source)
        for permission in ("artifact:read", "repository:pull"):
            self.authorize(permission, origin)
        digest = copy_artifact(
            source,
            reference,
            target_name=self.full_name,
            target_project_id=self.existing_project_id,
            actor=self.actor,
        )
        return self.created(digest)


class ProjectArtifactsView(ProjectView):
    """The artifacts of all repositories of a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "artifact:list"}

    @operation(
        "List artifacts of a project",
        tag="artifacts",
        answer=ArtifactSerializer,
        is_list=True,
        has_query=True,
        parameters=[
            *_FLAGS,
            OpenApiParameter(
                "latest_in_repository",
                bool,
                description="Of each repository only the artifact that was pushed last; "
                "q must have exactly one of media_type and artifact_type.",
                default=False,
            ),
        ],
    )
    def get(self, request: Request, project: str) -> Response:
        """Return the newest artifact first; children of an index and accessories are hidden."""
        query = request.query_params.get("q", "")
        rows = artifacts_in(self.project, query)
        listing = artifact_listing(live_tags_in(self.project))
        if flag(request, "latest_in_repository", default=False):
            _ensure_one_type(query)
            rows = newest_of_each_repository(listing.apply(rows, request))
        return self.page(
            rows,
            ArtifactSerializer,
            listing,
            partial(_context, self.project.pk, _flags(request)),
            details=without_payload(Manifest.objects.select_related("repository")),
        )


def _context(
    project_id: int, flags: Mapping[str, bool], manifests: Sequence[Manifest]
) -> Mapping[str, Any]:
    return artifact_context(project_id, manifests, is_list=True, **flags)


def _ensure_one_type(query: str) -> None:
    keys = [term.key for term in parse_query(query) if term.key in ("mediatype", "artifacttype")]
    if len(keys) != 1:
        raise BadRequest(
            "latest_in_repository needs exactly one of media_type and artifact_type in q."
        )


class ArtifactView(RepositoryScopedView):
    """One artifact."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "artifact:read",
        "DELETE": "artifact:delete",
    }
    moved_by_use = frozenset({"pull_time"})

    @operation("Get an artifact", tag="artifacts", answer=ArtifactSerializer, parameters=_FLAGS)
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return the artifact that a tag or digest names."""
        project_id = self.repository.project_id
        context = artifact_context(project_id, [self.manifest], **_flags(request))
        return Response(ArtifactSerializer(self.manifest, context=dict(context)).data)

    @operation("Delete an artifact", tag="artifacts", errors=(412,))
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Delete the artifact with all its tags, and what belongs to it alone.

        That is children of an index that no other index lists and no tag names, and accessories
        with their tags. A tag among all these that is immutable keeps everything.
        """
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        delete_artifact(self.full_name, digest, actor=self.actor)
        return self.done()


class ArtifactTagsView(RepositoryScopedView):
    """The tags of an artifact."""

    changes = ArtifactView

    access: ClassVar[dict[str, Access]] = {"GET": "tag:list", "POST": "tag:create"}

    @operation(
        "List tags of an artifact",
        tag="artifacts",
        answer=TagSerializer,
        is_list=True,
        has_query=True,
        parameters=[_WITH_IMMUTABLE_STATUS],
    )
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return the live tags by name."""
        _ensure_immutable_status(request)
        tags = Tag.objects.filter(manifest=self.manifest, ended_at=None)
        return self.page(
            tags,
            TagSerializer,
            TAG_LISTING,
            lambda _tags: {"immutability": immutability_of(self.repository)},
        )

    @operation(
        "Tag an artifact",
        tag="artifacts",
        body=TagRequestSerializer,
        status=201,
        errors=(409,),
    )
    def post(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Let a new tag name the artifact."""
        name = self.parse(TagRequestSerializer)["name"]
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        with about_member("name"):
            parse_tag(name)
        create_tag(self.full_name, digest, name, actor=self.actor)
        return self.created(name)


class ArtifactTagView(RepositoryScopedView):
    """One tag of an artifact."""

    access: ClassVar[dict[str, Access]] = {"DELETE": "tag:delete"}

    @operation("Delete a tag", tag="artifacts", errors=(412,))
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str, tag: str
    ) -> Response:
        """End the tag; the artifact and the tag's history stay."""
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        try:
            delete_tag(self.full_name, tag, expected=digest, actor=self.actor)
        except (ManifestUnknown, TagMoved) as error:
            raise ManifestUnknown(f"The artifact has no tag {tag}.") from error
        return self.done()


class ArtifactLabelsView(RepositoryScopedView):
    """The labels of an artifact, which it is shown with."""

    access: ClassVar[dict[str, Access]] = {"POST": "artifact-label:create"}

    @operation("Label an artifact", tag="artifacts", body=LabelReferenceSerializer, errors=(409,))
    def post(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Put a global label or one of the project on the artifact; 200, as Harbor answers."""
        label_id = self.parse(LabelReferenceSerializer)["id"]
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        add_label(self.full_name, digest, label_id, actor=self.actor)
        return self.done()


class ArtifactLabelView(RepositoryScopedView):
    """One label of an artifact."""

    access: ClassVar[dict[str, Access]] = {"DELETE": "artifact-label:delete"}

    @operation("Take a label off an artifact", tag="artifacts")
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str, label_id: int
    ) -> Response:
        """Take the label off; the label itself stays."""
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        remove_label(self.full_name, digest, label_id, actor=self.actor)
        return self.done()


class AccessoriesView(RepositoryScopedView):
    """What is attached to an artifact: signatures, SBOMs and the like."""

    access: ClassVar[dict[str, Access]] = {"GET": "accessory:list"}

    @operation(
        "List accessories of an artifact",
        tag="artifacts",
        answer=AccessorySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return what is about the artifact, the newest first.

        That are the manifests whose subject it is, and those under the tags in which cosign keeps
        signatures (``sha256-<hex>.sig``), attestations and SBOMs.
        """
        companions = dict(companions_of([self.manifest]).values_list("manifest_id", "name"))
        accessories = Manifest.objects.filter(
            Q(subject=bytes(self.manifest.digest)) | Q(pk__in=list(companions)),
            repository=self.repository,
        )
        context = {
            "subject": self.manifest,
            "repository": self.repository,
            "companions": companions,
        }
        signatures = [pk for pk, name in companions.items() if is_signature_tag(name)]
        listing = accessory_listing(self.manifest, signatures)
        return self.page(
            accessories.defer("payload"), AccessorySerializer, listing, lambda _: context
        )


def _flags(request: Request) -> dict[str, bool]:
    """Return what ``artifact_context`` is to read. Raises ``UnprocessableEntity``."""
    for name in _TRUTH_VALUES:
        flag(request, name, default=False)
    return {
        "with_labels": flag(request, "with_label", default=False),
        "with_tags": flag(request, "with_tag", default=True),
        "with_accessories": flag(request, "with_accessory", default=False),
        "with_inherited_accessories": flag(request, "with_inherited_accessory", default=False),
    }


def _ensure_immutable_status(request: Request) -> None:
    """Refuse a ``with_immutable_status`` that is no truth value.

    Raises ``UnprocessableEntity``.
    """
    flag(request, "with_immutable_status", default=True)
