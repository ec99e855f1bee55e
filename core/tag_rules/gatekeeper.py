"""Refuses writes that would move or end an immutable tag; named in ``GATEKEEPERS``."""

from core.tag_rules.errors import TagImmutable
from core.tag_rules.holding import hold_rules_locked
from core.tag_rules.types import TagWrite


def protect_tags(write: TagWrite) -> None:
    """Let the write pass or raise ``TagImmutable``; free for writes that touch no live tag."""
    if not write.moved_tags:
        return
    immutability = hold_rules_locked(write.project_id, write.repository_name)
    for tag in sorted(write.moved_tags):
        if immutability.covers(tag):
            raise TagImmutable(
                f"Tag {tag} is immutable: a rule of the project keeps it as it is.",
                detail={"repository": write.repository_name, "tag": tag},
            )
