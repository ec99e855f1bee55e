"""Tags that end by themselves."""

import json
from datetime import timedelta

import pytest
import structlog
from pytest_django.fixtures import Settings

from core.artifacts import attributes, rules
from core.artifacts.attributes import keep_unread_attributes, read_attributes
from core.artifacts.errors import ExpiryInvalid, ManifestUnknown, TagExists
from core.artifacts.models import Manifest, Tag, TrashEntry
from core.artifacts.services.expiry import _end, end_expired_tags, set_tag_expiry
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import PendingWrite
from core.audit.models import AuditEntry
from core.blobs.models import Blob
from core.common.clock import now
from core.common.errors import DomainError
from core.configurations.services import update_settings
from core.oci.digest import Digest
from core.oci.errors import ManifestInvalid
from core.projects.models import Project
from core.rbac.types import Actor
from core.trash.services import restore_entry
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    make_blob,
    make_image,
    push,
)
from tests.factories.projects import make_project
from tests.support.crowds import at_once

APP = "team/app"
OWN, FOREIGN = rules.EXPIRES_AFTER, rules.FOREIGN_EXPIRES_AFTER
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


@pytest.mark.parametrize(
    "text", ["", "2", "w", "-1d", "1y", "59s", "9999d", "1.5h", "1d ", "٣d", "999999999w"]
)
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
    for tag in ("stable", "v1"):
        set_tag_expiry(APP, tag, now() + SOON, actor=PUSHER)
    settings.GATEKEEPERS = (f"{__name__}.protect_stable",)
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


# --- By a label of an image -----------------------------------------------------

WEEKS = timedelta(weeks=2)


def push_labelled(
    project: Project, tag: str, labels: object, *, path: str = "app", **annotations: str
) -> Tag:
    """Push an image whose configuration has these labels, and return its tag."""
    config = json.dumps({"config": {"Labels": labels}}).encode()
    make_blob(project, config, path)
    push(project, image_document(config, annotations=annotations), tag, path)
    return Tag.objects.get(name=tag, ended_at=None)


def read_configurations() -> None:
    last: int | None = 0
    while last is not None:
        _, last = keep_unread_attributes(last, 10)


def life_of(name: str) -> timedelta | None:
    tag = Tag.objects.get(name=name, ended_at=None)
    assert not tag.awaits_life
    return tag.expires_at - tag.started_at if tag.expires_at else None


@pytest.mark.parametrize(
    ("labels", "annotations", "life", "note"),
    [
        ({FOREIGN: "2w"}, {}, WEEKS, ""),
        ({FOREIGN: "1d", OWN: "2w"}, {}, WEEKS, ""),
        ({FOREIGN: "1d"}, {FOREIGN: "2w"}, WEEKS, ""),
        ({FOREIGN: "2w"}, {FOREIGN: "soon"}, WEEKS, "quay.expires-after='soon'"),
        ({FOREIGN: "soon"}, {}, None, "quay.expires-after='soon'"),
        ({FOREIGN: "1d", OWN: "\x1b" + "x" * 99}, {}, None, f"{OWN}='\\x1b{'x' * 63}'"),
        ({FOREIGN: "200000000w"}, {}, None, "quay.expires-after='200000000w'"),
        ({FOREIGN: 14}, {}, None, ""),
        ([FOREIGN], {}, None, ""),
        (None, {}, None, ""),
        ({"other": "2w"}, {}, None, ""),
    ],
)
def test_labels_say_when_a_tag_ends(
    project: Project,
    labels: object,
    annotations: dict[str, str],
    life: timedelta | None,
    note: str,
) -> None:
    pushed = push_labelled(project, "v1", labels, **annotations)
    # The answer of a push waits for no configuration.
    assert pushed.awaits_life is (annotations != {FOREIGN: "2w"})
    read_configurations()
    assert life_of("v1") == life
    notes = AuditEntry.objects.filter(action="tag.expiry.ignored", project_name="team")
    assert [entry.detail["ignored"] for entry in notes] == ([note] if note else [])
    updated = AuditEntry.objects.filter(action="tag.expiry.updated")
    assert updated.count() == (life is not None and annotations != {FOREIGN: "2w"})
    # A push of what was read knows at once, and tags that are set without a push live for ever.
    push_labelled(project, "v2", labels, **annotations)
    assert life_of("v2") == life
    create_tag(APP, Digest.from_bytes(bytes(pushed.digest)), "v3", actor=PUSHER)
    assert life_of("v3") is None


def test_an_end_that_was_set_stays(project: Project) -> None:
    push_labelled(project, "v1", {FOREIGN: "2w"})
    set_tag_expiry(APP, "v1", None, actor=PUSHER)
    delete_tag(APP, "v1", actor=PUSHER)
    restore_entry(project, TrashEntry.objects.get().pk, actor=PUSHER)
    read_configurations()
    assert life_of("v1") is None


def test_what_cannot_be_read_yet_is_read_later(project: Project) -> None:
    tag = push_labelled(project, "v1", {FOREIGN: "2w"})
    Blob.objects.update(damaged_at=now())
    read_configurations()
    tag.refresh_from_db()
    assert tag.awaits_life
    Blob.objects.update(damaged_at=None)
    read_configurations()
    assert life_of("v1") == WEEKS


def test_one_configuration_does_not_stop_the_others(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_labelled(project, "v1", {"fault": "x"})
    push_labelled(project, "v2", {FOREIGN: "2w"})

    def faulty(texts: dict[str, str]) -> rules.StatedLife:
        return rules.StatedLife(timedelta(days=10**10)) if "fault" in texts else stated(texts)

    stated = rules.stated_life
    monkeypatch.setattr(attributes, "stated_life", faulty)
    with structlog.testing.capture_logs() as logs:
        read_configurations()
    assert [entry["event"] for entry in logs] == ["configuration_not_understood"]
    assert (life_of("v1"), life_of("v2")) == (None, WEEKS)
    assert Manifest.objects.order_by("id").values_list("extra_attrs", flat=True)[0] == {}


def test_nothing_is_kept_in_read_only_mode(project: Project) -> None:
    tag = push_labelled(project, "v1", {FOREIGN: "2w"})
    update_settings({"read_only": True}, actor=Actor.system())
    read_configurations()
    shown = Manifest.objects.get()
    read_attributes([shown])
    assert shown.extra_attrs == {"config": {"Labels": {FOREIGN: "2w"}}}
    tag.refresh_from_db()
    assert (tag.awaits_life, tag.expires_at) == (True, None)
    assert Manifest.objects.get().extra_attrs is None
    update_settings({"read_only": False}, actor=Actor.system())
    read_configurations()
    assert life_of("v1") == WEEKS


@pytest.mark.django_db(transaction=True)
def test_pushes_beside_the_reading_miss_nothing() -> None:
    project = make_project("team")
    config = json.dumps({"config": {"Labels": {FOREIGN: "2w"}}}).encode()
    for path in ("app", "other"):
        make_blob(project, config, path)

    for turn in range(4):
        documents = [image_document(config, annotations={"n": f"{turn}.{n}"}) for n in range(2)]

        def work(number: int) -> object:
            if number >= 6:
                return read_configurations()
            # Everybody moves the tags of everybody else.
            tags = [f"a{turn}", f"b{turn}", f"own{turn}.{number}"]  # noqa: B023  # ends within it
            path = "app" if number % 3 else "other"
            return push(project, documents[number % 2], path=path, extra_tags=tags)  # noqa: B023  # ends within the turn

        results = at_once(8, work)
        assert not any(isinstance(result, DomainError) for result in results), results
    read_configurations()
    live = Tag.objects.filter(ended_at=None)
    assert live.count() == 4 * (6 + 2 * 2)
    for tag in live:
        assert (tag.expires_at, tag.awaits_life) == (tag.started_at + WEEKS, False), tag.name
