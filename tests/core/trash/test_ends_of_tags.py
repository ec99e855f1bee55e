"""Tags come back from the trash with the ends they had."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.artifacts.attributes import keep_unread_attributes
from core.artifacts.models import Tag, TrashEntry
from core.artifacts.rules import EXPIRES_AFTER, FOREIGN_EXPIRES_AFTER
from core.artifacts.services.deleting import delete_artifact
from core.artifacts.services.expiry import end_expired_tags, set_tag_expiry
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.audit.models import AuditEntry
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.trash import services
from core.trash.types import LeftOut
from tests.factories.artifacts import PUSHER, image_document, make_blob, push

APP = "team/app"
WEEKS = timedelta(weeks=2)


def push_tag(project: Project, tag: str, labels: dict[str, str], **annotations: str) -> Digest:
    config = json.dumps({"config": {"Labels": {**labels, "tag": tag}}}).encode()
    make_blob(project, config)
    return push(project, image_document(config, annotations=annotations), tag).digest


def read_configurations() -> None:
    last: int | None = 0
    while last is not None:
        _, last = keep_unread_attributes(last, 10)


def live_ends() -> dict[str, datetime | None]:
    return {tag.name: tag.expires_at for tag in Tag.objects.filter(ended_at=None)}


def make_tags(project: Project) -> dict[str, datetime | None]:
    """Make a tag for each way in which ends come about, and return those that are to come back."""
    for tag in ("never", "over", "set"):
        push_tag(project, tag, {})
    push_tag(project, "annotated", {}, **{EXPIRES_AFTER: "2w"})
    push_tag(project, "labelled", {FOREIGN_EXPIRES_AFTER: "2w"})
    read_configurations()
    for tag in ("over", "set"):
        set_tag_expiry(APP, tag, now() + WEEKS, actor=PUSHER)
    # Its configuration is not read before it is deleted.
    push_tag(project, "unread", {FOREIGN_EXPIRES_AFTER: "2w"})
    ends = live_ends()
    assert {tag for tag, end in ends.items() if end is None} == {"never", "unread"}
    Tag.objects.filter(name="over").update(expires_at=now() + timedelta(microseconds=1))
    return {**ends, "over": None}


def delete_tags() -> None:
    for tag in live_ends():
        delete_tag(APP, tag, actor=PUSHER)
    # Of a manifest that stays, it is read all the same.
    read_configurations()


def delete_manifests() -> None:
    for digest in Tag.objects.filter(ended_at=None).values_list("digest", flat=True):
        delete_manifest(APP, Digest.from_bytes(bytes(digest)), actor=PUSHER)


def delete_everything() -> None:
    delete_repository(APP, actor=PUSHER)


@pytest.mark.parametrize("delete", [delete_tags, delete_manifests, delete_everything])
def test_ends_come_back_but_for_those_that_are_over(
    project: Project, delete: Callable[[], None]
) -> None:
    ends = make_tags(project)
    delete()
    assert live_ends() == {}
    left_out = [
        services.restore_entry(project, entry.pk, actor=PUSHER)
        for entry in TrashEntry.objects.order_by("pk")
    ]
    restored_at = now()
    read_configurations()
    restored = live_ends()
    unread = restored.pop("unread")
    assert restored == {tag: end for tag, end in ends.items() if tag != "unread"}
    # A life that was not known yet begins again.
    assert unread is not None
    assert restored_at - timedelta(minutes=1) < unread - WEEKS <= restored_at
    assert sorted(each.ends for each in left_out if each != LeftOut()) == [("over",)]
    entries = AuditEntry.objects.filter(action="trash.entry.restored")
    said = [entry.detail.get("ends_left_out") for entry in entries.order_by("pk")]
    assert [names for names in said if names is not None] == [["over"]]
    assert end_expired_tags(now(), after_id=0)[1] == 0


def test_what_is_there_again_keeps_its_own_end(project: Project) -> None:
    digest = push_tag(project, "v1", {})
    Tag.objects.update(expires_at=now())
    delete_manifest(APP, digest, actor=PUSHER)
    push_tag(project, "v1", {})
    end = now() + WEEKS
    set_tag_expiry(APP, "v1", end, actor=PUSHER)
    entry = TrashEntry.objects.get()
    assert services.restore_entry(project, entry.pk, actor=PUSHER) == LeftOut()
    assert live_ends() == {"v1": end}


def test_accessories_come_back_with_the_ends_of_their_tags(project: Project) -> None:
    digest = push_tag(project, "v1", {})
    signature = f"sha256-{digest.hex}.sig"
    push_tag(project, signature, {}, **{EXPIRES_AFTER: "2w"})
    ends = live_ends()
    delete_artifact(APP, digest, actor=PUSHER)
    services.restore_entry(project, TrashEntry.objects.get().pk, actor=PUSHER)
    assert live_ends() == ends


def test_a_tag_returns_to_what_it_named_with_the_end_of_that(project: Project) -> None:
    first = push_tag(project, "v1", {}, **{EXPIRES_AFTER: "2w"})
    (end,) = live_ends().values()
    second = push_tag(project, "v1", {})
    assert live_ends() == {"v1": None}
    assert services.restore_tag(APP, "v1", first, actor=PUSHER) == LeftOut()
    assert live_ends() == {"v1": end}
    delete_repository(APP, actor=PUSHER)
    services.restore_entry(project, TrashEntry.objects.get().pk, actor=PUSHER)
    services.restore_tag(APP, "v1", second, actor=PUSHER)
    services.restore_tag(APP, "v1", first, actor=PUSHER)
    assert live_ends() == {"v1": end}
    Tag.objects.filter(digest=first.to_bytes()).update(expires_at=now())
    services.restore_tag(APP, "v1", second, actor=PUSHER)
    assert services.restore_tag(APP, "v1", first, actor=PUSHER).ends == ("v1",)
    assert live_ends() == {"v1": None}
    # Nothing of it concerns tags that are set otherwise.
    create_tag(APP, first, "v2", actor=PUSHER)
    assert live_ends() == {"v1": None, "v2": None}
