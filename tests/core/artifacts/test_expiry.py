"""Tags that end by themselves."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from core.artifacts import rules
from core.artifacts.errors import ExpiryInvalid, ManifestUnknown, TagExists
from core.artifacts.models import Tag, TrashEntry
from core.artifacts.services.expiry import _end, end_expired_tags, set_tag_expiry
from core.artifacts.types import PendingWrite
from core.audit.models import AuditEntry
from core.common.clock import now
from core.oci.errors import ManifestInvalid
from core.projects.models import Project
from core.rbac.types import Actor
from tests.factories.artifacts import PUSHER, image_document, make_blob, make_image, push

APP = "team/app"
SOON = timedelta(hours=1)


def protect_stable(write: PendingWrite) -> None:
    if "stable" in write.tags:
        raise TagExists("It is protected.")


def push_with(project: Project, tag: str, **annotations: str) -> Tag:
    make_blob(project, b"{}")
    named = {key.replace("_", "."): value for key, value in annotations.items()}
    named = {key.replace("expires.after", "expires-after"): value for key, value in named.items()}
    push(project, image_document(annotations=named), tag)
    return Tag.objects.get(name=tag, ended_at=None)


@pytest.mark.parametrize(
    ("own", "foreign", "life"),
    [
        (None, None, None),
        ("90m", None, timedelta(minutes=90)),
        (None, "2w", timedelta(weeks=2)),
        ("1d", "2w", timedelta(days=1)),
        (None, "fortnight", None),
        (None, "0s", None),
    ],
)
def test_annotations_say_when_a_tag_ends(
    project: Project, own: str | None, foreign: str | None, life: timedelta | None
) -> None:
    annotations = {"org_roadstead_expires_after": own, "quay_expires_after": foreign}
    tag = push_with(project, "v1", **{key: text for key, text in annotations.items() if text})
    assert (tag.expires_at - tag.started_at if tag.expires_at else None) == life


@pytest.mark.parametrize("text", ["", "2", "w", "-1d", "1y", "59s", "9999d", "1.5h", "1d ", "٣d"])
def test_what_is_no_life_is_refused(project: Project, text: str) -> None:
    with pytest.raises(ExpiryInvalid):
        rules.parse_life(text)
    with pytest.raises(ManifestInvalid, match=r"org\.roadstead\.expires-after"):
        push_with(project, "v1", org_roadstead_expires_after=text)


def test_an_end_is_set_and_taken_away(project: Project) -> None:
    make_image(project, "v1")
    end = now() + SOON
    set_tag_expiry(APP, "v1", end, actor=PUSHER)
    assert Tag.objects.get().expires_at == end
    set_tag_expiry(APP, "v1", None, actor=PUSHER)
    assert Tag.objects.get().expires_at is None
    assert AuditEntry.objects.filter(action="tag.expiry.updated").count() == 2
    for wrong in (now() - SOON, now() + timedelta(days=4000)):
        with pytest.raises(ExpiryInvalid):
            set_tag_expiry(APP, "v1", wrong, actor=PUSHER)
    with pytest.raises(ManifestUnknown):
        set_tag_expiry(APP, "v2", end, actor=PUSHER)


def test_expired_tags_end_into_the_trash_unless_protected(
    project: Project, settings: Settings
) -> None:
    settings.GATEKEEPERS = (f"{__name__}.protect_stable",)
    for tag in ("later", "never", "v1"):
        make_image(project, tag)
    settings.GATEKEEPERS = ()
    make_image(project, "stable")
    settings.GATEKEEPERS = (f"{__name__}.protect_stable",)
    for tag in ("stable", "v1"):
        set_tag_expiry(APP, tag, now() + SOON, actor=PUSHER)
    set_tag_expiry(APP, "later", now() + 3 * SOON, actor=PUSHER)
    at = now() + 2 * SOON
    last_id, ended, after_id = 0, 0, 0
    while last_id is not None:
        last_id, number = end_expired_tags(at, after_id=after_id, limit=1)
        after_id, ended = last_id or 0, ended + number
    live = Tag.objects.filter(ended_at=None).order_by("name").values_list("name", flat=True)
    assert (ended, list(live)) == (1, ["later", "never", "stable"])
    assert [(entry.kind, entry.tag) for entry in TrashEntry.objects.all()] == [("tag", "v1")]


def test_a_tag_that_was_moved_meanwhile_stays(project: Project) -> None:
    make_image(project, "v1")
    set_tag_expiry(APP, "v1", now() + SOON, actor=PUSHER)
    found = Tag.objects.get()
    make_image(project, "v1", config=b'{"a":1}')
    moved = Tag.objects.get(ended_at=None)
    assert moved.expires_at is None
    for tag in (found, moved):
        assert not _end(APP, "v1", tag.pk, now() + 2 * SOON, actor=Actor.system())
    assert Tag.objects.filter(ended_at=None).count() == 1
