"""What lists of repositories, artifacts and tags show, and in which order."""

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Coalesce, NullIf

from core.api.errors import BadRequest
from core.api.listing import Column, ColumnKind, Listing, integer
from core.api.query_language import AllOf, AnyOf, Exact, Fuzzy, Pattern, parse_query
from core.artifacts.models import Manifest, ManifestLabel, Repository, Tag
from core.members.api.filters import projects_where
from core.oci import media_types
from core.oci.digest import Digest
from core.oci.media_types import ArtifactKind, artifact_kind
from core.oci.referrers import COMPANION_PREFIX, COMPANION_TAG
from core.projects.models import Project
from core.rbac.rules import scope_covers
from core.rbac.types import Actor, ActorKind

_KNOWN_TYPES = sorted(
    {value for value in vars(media_types).values() if isinstance(value, str) and "/" in value}
)
_KINDS = {text: kind for text in _KNOWN_TYPES if (kind := artifact_kind(text, None)) != "UNKNOWN"}
# Most artifacts are images, and SQL compares with one type after the other.
_COMMON_FIRST = sorted(_KINDS.items(), key=lambda each: each[1] is not ArtifactKind.IMAGE)
_LIST = "repository:list"
_TAGGED, _UNTAGGED = Exact("*"), Exact("nil")
_NEWEST = 100

REPOSITORY_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("name"),
        "project_id": Column("project_id", ColumnKind.INTEGER),
        "description": Column("description"),
        "pull_count": Column("pull_count", ColumnKind.INTEGER),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "update_time": Column("updated_at", ColumnKind.TIME),
    },
    default_order=("name",),
)
TAG_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("name"),
        "repository_id": Column("repository_id", ColumnKind.INTEGER),
        "artifact_id": Column("manifest_id", ColumnKind.INTEGER),
        "push_time": Column("started_at", ColumnKind.TIME),
        "pull_time": Column("last_pulled_at", ColumnKind.TIME),
    },
    default_order=("name",),
)
NAMELESS_HISTORY_LISTING = Listing(
    columns={
        "started_at": Column("started_at", ColumnKind.TIME),
        "ended_at": Column("ended_at", ColumnKind.TIME),
    },
    default_order=("-started_at", "-id"),
)
"""For those who may not know who works in the project: what is hidden answers no filter."""

HISTORY_LISTING = replace(
    NAMELESS_HISTORY_LISTING,
    columns={
        **NAMELESS_HISTORY_LISTING.columns,
        "started_by": Column("started_by"),
        "ended_by": Column("ended_by"),
    },
)
# The first condition is quick, and so decides for nearly all tags.
IS_COMPANION = Q(name__startswith=COMPANION_PREFIX) & Q(name__regex=COMPANION_TAG)
"""Tags that make manifests accessories of the one whose digest the tag holds."""

COSIGN_TYPES = frozenset(
    {
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }
)
NOTATION_TYPE = "application/vnd.cncf.notary.signature"


class AccessoryKind(StrEnum):
    """Harbor's names for what an accessory is."""

    COSIGN = "signature.cosign"
    NOTATION = "signature.notation"
    OTHER = "subject.accessory"


def visible_repositories(actor: Actor) -> "QuerySet[Repository]":
    """Return the repositories that the actor may list.

    Beside those of projects, the ones granted one by one, as far as a token's limits go; the
    relations ``repositoryusergrant`` and ``repositorygroupgrant`` belong to the feature above.
    """
    visible = Q(project_id__in=projects_where(actor, _LIST))
    has_grants = actor.kind is ActorKind.USER and not actor.is_system_admin
    if has_grants and scope_covers(actor.scopes, _LIST):
        granted = Repository.objects.filter(
            Q(repositoryusergrant__user_id=actor.id)
            | Q(repositorygroupgrant__group__user__id=actor.id)
        )
        if actor.scope_projects is not None:
            granted = granted.filter(project__name__in=sorted(actor.scope_projects))
        visible |= Q(pk__in=granted.values("pk"))
    return Repository.objects.filter(visible)


def listed(manifests: "QuerySet[Manifest]", tags: "QuerySet[Tag]") -> "QuerySet[Manifest]":
    """Return manifests that stand for themselves.

    Left out are manifests about others (accessories), also those that only a tag makes one, and
    untagged ones that an index lists. ``tags`` are the live tags of their repositories, looked up
    for the few children that may have one.
    """
    stands = Q(is_child=False) & _is_no_companion(tags)
    return _perhaps_listed(manifests).filter(stands | _tagged(_own(tags)))


def _perhaps_listed(manifests: "QuerySet[Manifest]") -> "QuerySet[Manifest]":
    """Return what the index ``artifacts_manifest_in_lists`` has: what is listed, and few others."""
    return manifests.filter(Q(is_child=False) | Q(may_be_tagged=True), subject=None)


def _is_no_companion(tags: "QuerySet[Tag]") -> Q:
    """Say that none of the tags makes the manifest an accessory; such tags are found by name."""
    return ~Q(pk__in=tags.filter(IS_COMPANION).values("manifest_id"))


def _own(tags: "QuerySet[Tag]") -> "QuerySet[Tag]":
    """Return the tags that name a manifest for itself."""
    return tags.exclude(IS_COMPANION)


def live_tags_of(repository: Repository) -> "QuerySet[Tag]":
    """Return the live tags of a repository."""
    return Tag.objects.filter(repository=repository, ended_at=None)


def live_tags_in(project: Project) -> "QuerySet[Tag]":
    """Return the live tags of all repositories of a project."""
    return Tag.objects.filter(repository__project=project, ended_at=None)


def artifacts_of(repository: Repository, query: str) -> "QuerySet[Manifest]":
    """Return what a list of artifacts begins with; ``base`` in ``q`` asks for everything."""
    manifests = Manifest.objects.filter(repository=repository)
    return _begin(manifests, live_tags_of(repository), query)


def artifacts_in(project: Project, query: str) -> "QuerySet[Manifest]":
    """Return the same for all repositories of a project."""
    manifests = Manifest.objects.filter(repository__project=project)
    return _begin(manifests, live_tags_in(project), query)


def newest_of_each_repository(manifests: "QuerySet[Manifest]") -> "QuerySet[Manifest]":
    """Return of each repository the one that was pushed last."""
    newest = manifests.order_by("repository_id", "-pushed_at", "-id").distinct("repository_id")
    return Manifest.objects.filter(pk__in=newest.values("pk"))


def _begin(
    manifests: "QuerySet[Manifest]", tags: "QuerySet[Tag]", query: str
) -> "QuerySet[Manifest]":
    terms = parse_query(query)
    if any(term.key == "base" for term in terms):
        return manifests
    wanted = {term.pattern == _UNTAGGED for term in terms if term.key == "tags"}
    if True in wanted:
        return manifests.filter(_is_no_companion(tags), is_child=False, subject=None)
    # What has a tag is listed; the filter itself looks at tags.
    return _perhaps_listed(manifests) if wanted else listed(manifests, tags)


class Tagged(NamedTuple):
    """How many artifacts have such tags, and whether these are all that the repository lists."""

    artifacts: int
    are_all: bool


def count_tagged(repository: Repository, query: str) -> Tagged | None:
    """Count the artifacts that have such tags, if tags are all that ``query`` asks for.

    Counting what tags name takes a walk over them, in the order of an index, and no join. Where
    everything has a tag, no row of a page need be looked at for one.
    """
    terms = parse_query(query)
    if [term.key for term in terms] != ["tags"]:
        return None
    pattern = terms[0].pattern
    tags = _chosen(_own(live_tags_of(repository)), pattern)
    if tags is None:
        return None
    accessories = Manifest.objects.filter(repository=repository, subject__isnull=False)
    tags = tags.exclude(manifest__in=accessories)
    number = tags.aggregate(number=Count("manifest", distinct=True))["number"]
    return Tagged(number, are_all=pattern == _TAGGED and _lists_so_many(repository, number))


def _lists_so_many(repository: Repository, tagged: int) -> bool:
    """Tell whether the repository lists no more artifacts than those that have a tag.

    Where some have none, the newest ones mostly tell, and all the others need not be counted.
    """
    all_listed = _perhaps_listed(Manifest.objects.filter(repository=repository))
    newest = [*all_listed.order_by("-pushed_at", "-id").values_list("pk", flat=True)[:_NEWEST]]
    tags = _own(live_tags_of(repository)).filter(manifest__in=newest)
    if tags.values("manifest").distinct().count() < len(newest):
        return False
    return tagged == all_listed.count()


def without_payload(manifests: "QuerySet[Manifest]") -> "QuerySet[Manifest]":
    """Return what a list shows of artifacts; the payload is never read."""
    return manifests.defer("payload")


def _kind() -> Coalesce:
    """Say in SQL what ``artifact_kind`` says in Python."""
    by_type, by_config = (
        Case(
            # Most have no type of their own, and need not be compared with each that there is.
            When(**{column: None}, then=Value(None, CharField())),
            *[When(**{column: text}, then=Value(kind.value)) for text, kind in _COMMON_FIRST],
            default=None,
        )
        for column in ("artifact_type", "config_media_type")
    )
    nothing = Case(
        When(
            Q(artifact_type=None) | Q(artifact_type=""),
            config_media_type=None,
            then=Value(ArtifactKind.IMAGE.value),
        ),
        default=None,
    )
    return Coalesce(by_type, by_config, nothing, Value(ArtifactKind.UNKNOWN.value))


def _by_tags(
    tags: "QuerySet[Tag]", manifests: "QuerySet[Any]", pattern: Pattern
) -> "QuerySet[Any]":
    tags = _own(tags)
    chosen = _chosen(tags, pattern)
    if chosen is not None:
        is_of_many = pattern == _TAGGED or isinstance(pattern, Fuzzy)
        return manifests.filter(_among(chosen) if is_of_many else _tagged(chosen))
    if pattern == _UNTAGGED:
        return manifests.filter(~_tagged(tags))
    if not isinstance(pattern, AllOf):
        raise BadRequest("q: tags takes no range.")
    for value in pattern.values:
        manifests = manifests.filter(_tagged(tags.filter(name=value)))
    return manifests


def _chosen(tags: "QuerySet[Tag]", pattern: Pattern) -> "QuerySet[Tag] | None":
    """Return those of the tags of which an artifact needs one; None where that is not all."""
    match pattern:
        case Exact("*"):
            return tags
        case Exact(value) if pattern != _UNTAGGED:
            return tags.filter(name=value)
        case Fuzzy(value):
            return tags.filter(name__icontains=value)
        case AnyOf(values):
            return tags.filter(name__in=values)
        case _:
            return None


def _tagged(tags: "QuerySet[Tag]") -> Exists:
    """Say that one of the live tags names the manifest."""
    return Exists(tags.filter(manifest=OuterRef("pk")))


def _among(tags: "QuerySet[Tag]") -> Coalesce:
    """Say that one of the tags names the manifest, where very many have one.

    A bare condition would be made a join of all of them before a page is cut; this one is looked
    up for each row of the page and for those before it, or among all tags where these are few
    enough for the database's memory.
    """
    return Coalesce(_tagged(tags), Value(False))


def _by_digest(manifests: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    match pattern:
        case Exact(value):
            wanted: tuple[str, ...] = (value,)
        case AnyOf(values):
            wanted = values
        case _:
            raise BadRequest("q: digest takes a whole digest or a {list}.")
    return manifests.filter(digest__in=[Digest.parse(text).to_bytes() for text in wanted])


def _by_labels(manifests: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    """Select the artifacts that carry every label of a list, by id, or the only one."""
    match pattern:
        case Exact(value):
            texts: tuple[str, ...] = (value,)
        case AllOf(values):
            texts = values
        case _:
            raise BadRequest("q: labels takes an id or a (list) of ids.")
    ids = {integer(text, "labels") for text in texts}
    carried = ManifestLabel.objects.filter(label__in=ids).values("manifest")
    complete = carried.annotate(number=Count("label")).filter(number=len(ids))
    return manifests.filter(pk__in=complete.values("manifest"))


def _unchanged(manifests: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    """Others have already looked at the key."""
    return manifests


_MEDIA_TYPE = Coalesce("config_media_type", "media_type")
_ARTIFACT_TYPE = Coalesce(NullIf("artifact_type", Value("")), _MEDIA_TYPE)
_ARTIFACT_COLUMNS = {
    "id": Column("id", ColumnKind.INTEGER),
    "type": Column("kind", computed=_kind()),
    "media_type": Column("shown_media_type", computed=_MEDIA_TYPE),
    "manifest_media_type": Column("media_type"),
    "artifact_type": Column("shown_artifact_type", computed=_ARTIFACT_TYPE),
    "repository_id": Column("repository_id", ColumnKind.INTEGER),
    "repository_name": Column("repository__name"),
    "size": Column("total_bytes", ColumnKind.INTEGER),
    "push_time": Column("pushed_at", ColumnKind.TIME),
    "pull_time": Column("last_pulled_at", ColumnKind.TIME),
}


def artifact_listing(tags: "QuerySet[Tag]", *, are_all_tagged: bool = False) -> Listing:
    """Return how artifacts are filtered and ordered; ``tags`` are the live ones among them.

    ``are_all_tagged`` says that one of these names every artifact, as ``q`` asks for.
    """
    return Listing(
        columns=_ARTIFACT_COLUMNS,
        default_order=("-pushed_at",),
        special={
            "tags": _unchanged if are_all_tagged else partial(_by_tags, tags),
            "digest": _by_digest,
            "labels": _by_labels,
            "base": _unchanged,
        },
    )


def accessory_listing(subject: Manifest, signatures: Collection[int]) -> Listing:
    """Return how the accessories of an artifact are filtered and ordered.

    ``signatures`` are the ids of those that a tag makes signatures.
    """
    return Listing(
        columns={
            "id": Column("id", ColumnKind.INTEGER),
            "artifact_id": Column("id", ColumnKind.INTEGER),
            "subject_artifact_id": Column(
                "subject_artifact",
                ColumnKind.INTEGER,
                is_sortable=False,
                computed=Value(subject.pk, BigIntegerField()),
            ),
            "type": Column("kind", computed=_accessory_kind(signatures)),
            "size": Column("total_bytes", ColumnKind.INTEGER),
            "creation_time": Column("pushed_at", ColumnKind.TIME),
        },
        default_order=("-pushed_at",),
        special={"digest": _by_digest},
    )


def _accessory_kind(signatures: Collection[int]) -> Case:
    """Say in SQL what the serializer of accessories says in Python."""
    cosign, notation = (
        Q(artifact_type__in=types) | Q(config_media_type__in=types)
        for types in (sorted(COSIGN_TYPES), [NOTATION_TYPE])
    )
    return Case(
        When(cosign | Q(pk__in=signatures), then=Value(AccessoryKind.COSIGN.value)),
        When(notation, then=Value(AccessoryKind.NOTATION.value)),
        default=Value(AccessoryKind.OTHER.value),
        output_field=CharField(),
    )
