"""One action on many artifacts or tags: each by itself, through the service for a single one.

So gatekeepers have their say, and what one item is refused for does not stop the others. A dry
run carries everything out and undoes it; what it answers is therefore what would happen, also
where one item depends on another.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from core.artifacts.errors import BulkInvalid, ManifestUnknown
from core.artifacts.models import Manifest, Repository, Tag
from core.artifacts.services.deleting import delete_artifact
from core.artifacts.services.repositories import reserve_repository_locked
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import BulkOutcome, BulkRequest, BulkSelector, DeletedArtifact
from core.common.doublestar import PatternInvalid, compile_pattern
from core.common.errors import DomainError
from core.database.transactions import rehearsal
from core.oci.digest import Digest
from core.oci.errors import TagInvalid
from core.oci.reference import parse_tag
from core.rbac.types import Actor

MAXIMUM_ITEMS: Final = 200
"""On how many artifacts or tags one request acts."""

# Tags are matched here and not in the database, so more of them than this are not read.
_MAXIMUM_CANDIDATES: Final = 100_000


class _Item(NamedTuple):
    """One thing to do; ``digest`` and ``tag`` as far as the action needs them."""

    digest: Digest | None
    tag: str


def act_in_bulk(
    repository: Repository, request: BulkRequest, *, actor: Actor
) -> tuple[BulkOutcome, ...]:
    """Delete artifacts, or set or end tags, one by one, and return what became of each.

    Raises BulkInvalid when the request selects nothing definite or too much, or its pattern is
    not valid, TagInvalid and DigestInvalid; then nothing was done. Whoever calls has authorized
    the action.
    """
    act = _ACTIONS[request.action]
    items = _ITEMS[request.action](repository, request)
    if len(items) > MAXIMUM_ITEMS:
        raise BulkInvalid(f"{len(items)} items are selected; at most {MAXIMUM_ITEMS} at once.")

    def act_on_all() -> tuple[BulkOutcome, ...]:
        outcomes: list[BulkOutcome] = []
        along: set[Digest] = set()
        for item in items:
            if item.digest in along:
                # It went with one before it.
                outcomes.append(BulkOutcome(item.digest, item.tag, None))
                continue
            outcomes.append(_outcome(act, repository.name, item, actor))
            along.update(outcomes[-1].along)
        return tuple(outcomes)

    if not request.dry_run:
        return act_on_all()
    with rehearsal():
        reserve_repository_locked(repository.name)
        return act_on_all()


def _outcome(
    act: Callable[[str, _Item, Actor], DeletedArtifact | None],
    name: str,
    item: _Item,
    actor: Actor,
) -> BulkOutcome:
    try:
        deleted = act(name, item, actor)
    except DomainError as error:
        return BulkOutcome(item.digest, item.tag, error)
    if deleted is None:
        return BulkOutcome(item.digest, item.tag, None)
    return BulkOutcome(item.digest, item.tag, None, deleted.tags, deleted.along)


def _delete(name: str, item: _Item, actor: Actor) -> DeletedArtifact:
    if item.digest is None:
        raise ManifestUnknown(f"There is no artifact with the tag {item.tag}.")
    return delete_artifact(name, item.digest, actor=actor)


def _untag(name: str, item: _Item, actor: Actor) -> None:
    if item.digest is None:
        raise ManifestUnknown(f"There is no tag {item.tag}.")
    delete_tag(name, item.tag, expected=item.digest, actor=actor)


def _tag(name: str, item: _Item, actor: Actor) -> None:
    if item.digest is None:
        raise ManifestUnknown
    create_tag(name, item.digest, item.tag, actor=actor)


_ACTIONS: Final = {"delete": _delete, "untag": _untag, "tag": _tag}


def _artifacts_to_delete(repository: Repository, request: BulkRequest) -> list[_Item]:
    """Return each artifact once, indexes before what they list, which is most often older."""
    named = _digests_of_tags(repository, request.tags)
    missing = [_Item(None, tag) for tag in request.tags if tag not in named]
    wanted = {*request.digests, *named.values()}
    if request.selector is not None:
        wanted |= {digest for digest, _tag in _selected(repository, request.selector)}
    ids = dict(
        Manifest.objects.filter(
            repository=repository, digest__in=[digest.to_bytes() for digest in wanted]
        ).values_list("digest", "pk")
    )
    ages = {Digest.from_bytes(bytes(stored)): pk for stored, pk in ids.items()}
    ordered = sorted(wanted, key=lambda digest: (-ages.get(digest, 0), str(digest)))
    return [*(_Item(digest, "") for digest in ordered), *missing]


def _tags(request: BulkRequest) -> list[str]:
    """Return the tags that the request names. Raises TagInvalid."""
    try:
        return [parse_tag(tag) for tag in request.tags]
    except TagInvalid as error:
        raise TagInvalid(f"tags: {error.message}") from error


def _tags_to_end(repository: Repository, request: BulkRequest) -> list[_Item]:
    """Return each tag with what it points at now; one that moves meanwhile is not ended."""
    named = _tags(request)
    wanted: dict[str, Digest | None] = dict.fromkeys(named)
    wanted |= _digests_of_tags(repository, named)
    if request.digests:
        digests = [digest.to_bytes() for digest in request.digests]
        live = Tag.objects.filter(
            repository=repository, ended_at=None, manifest__digest__in=digests
        )
        rows = live.order_by("name").values_list("name", "digest")
        wanted |= {name: Digest.from_bytes(bytes(stored)) for name, stored in rows}
    if request.selector is not None:
        if request.selector.is_untagged:
            raise BulkInvalid("selector: artifacts without a tag have none to end.")
        selected = sorted((tag, digest) for digest, tag in _selected(repository, request.selector))
        wanted |= dict(selected)
    return [_Item(digest, name) for name, digest in wanted.items()]


def _tags_to_set(repository: Repository, request: BulkRequest) -> list[_Item]:
    if request.selector is not None:
        raise BulkInvalid("selector: tags are set on the artifacts in digests only.")
    tags = list(dict.fromkeys(_tags(request)))
    digests = request.digests * len(tags) if len(request.digests) == 1 else request.digests
    if not tags or len(digests) != len(tags):
        raise BulkInvalid("digests must hold one digest for all tags, or one for each of them.")
    return [_Item(digest, tag) for digest, tag in zip(digests, tags, strict=True)]


_ITEMS: Final = {
    "delete": _artifacts_to_delete,
    "untag": _tags_to_end,
    "tag": _tags_to_set,
}


def _digests_of_tags(repository: Repository, names: Sequence[str]) -> dict[str, Digest]:
    rows = Tag.objects.filter(repository=repository, ended_at=None, name__in=list(names))
    return {
        name: Digest.from_bytes(bytes(stored))
        for name, stored in rows.values_list("name", "digest")
    }


def _selected(repository: Repository, selector: BulkSelector) -> set[tuple[Digest, str]]:
    """Return what a selector selects: artifacts with the tag it matches, or without a tag."""
    if selector.is_untagged == bool(selector.tag_pattern):
        raise BulkInvalid("selector must have either tag_pattern or untagged.")
    if selector.is_untagged:
        rows = Manifest.objects.filter(repository=repository, subject=None)
        tagged = Tag.objects.filter(repository=repository, ended_at=None)
        rows = rows.exclude(pk__in=tagged.values("manifest_id")).filter(parents=None)
        if selector.pushed_before is not None:
            rows = rows.filter(pushed_at__lt=selector.pushed_before)
        oldest = rows.order_by("pushed_at", "id").values_list("digest", flat=True)
        return {(Digest.from_bytes(bytes(stored)), "") for stored in oldest[: MAXIMUM_ITEMS + 1]}
    try:
        pattern = compile_pattern(selector.tag_pattern)
    except PatternInvalid as error:
        raise BulkInvalid(f"selector.tag_pattern: {error.message}") from error
    tags = Tag.objects.filter(repository=repository, ended_at=None)
    if selector.pushed_before is not None:
        tags = tags.filter(manifest__pushed_at__lt=selector.pushed_before)
    names = tags.order_by("name").values_list("digest", "name")[: _MAXIMUM_CANDIDATES + 1]
    candidates = list(names)
    if len(candidates) > _MAXIMUM_CANDIDATES:
        raise BulkInvalid(
            f"selector: a pattern is compared with at most {_MAXIMUM_CANDIDATES:,} tags, and the "
            "repository has more. Choose fewer with pushed_before, or name them."
        )
    return {
        (Digest.from_bytes(bytes(stored)), name)
        for stored, name in candidates
        if pattern.matches(name)
    }
