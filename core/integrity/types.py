"""What a check finds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

_HEALING = (
    "Push an image that has it again; or restore the object from a backup and run `roadstead fsck` "
    "again, which reads it and lets it be served."
)


class ProblemKind(Enum):
    """A sort of problem, what it means, and what to do about it."""

    BLOB_MISSING = (
        "blob-missing",
        "A blob has no object",
        f"It cannot be pulled. {_HEALING}",
    )
    BLOB_SIZE = (
        "blob-size",
        "A blob's object has another size",
        f"It cannot be pulled. {_HEALING}",
    )
    BLOB_CONTENT = (
        "blob-content",
        "A blob's object has other bytes than its digest says",
        f"It is marked as damaged and not served. {_HEALING} Look for the fault in the disk.",
    )
    BLOB_UNREADABLE = (
        "blob-unreadable",
        "A blob's object cannot be read",
        "See that the storage works, then check again.",
    )
    BLOB_STORE = (
        "blob-store",
        "A blob is in a storage that is not configured",
        "Set ROADSTEAD_FORMER_STORAGE_NAME to the name of that storage, "
        "ROADSTEAD_FORMER_STORAGE_DIR or ROADSTEAD_FORMER_STORAGE_URL to where it is, restart, and "
        "run `roadstead storage migrate`. If it is lost, push the images again.",
    )
    STORE_NAME = (
        "store-name",
        "A storage is configured under another name than rows have for it",
        "Do what is in brackets: set the variable for all processes and restart them, or run the "
        "command. Then check again.",
    )
    STRAY_OBJECT = (
        "stray-object",
        "No row knows an object",
        "The daily sweep removes it, as does --remove-strays.",
    )
    STRAY_UPLOAD = (
        "stray-upload",
        "No row knows an unfinished upload",
        "The daily sweep removes it, as does --remove-strays.",
    )
    SUSPICIOUS_STRAYS = (
        "suspicious-strays",
        "No row knows a large part of a storage",
        "Look whether the database is an older copy, or belongs to another storage, before "
        "anything else: nothing is removed as long as it looks like that.",
    )
    CONDEMNED_BLOB = (
        "condemned-blob",
        "An object that is to be removed has a blob standing on it",
        "Its object is spared. This is a fault of the product: report it.",
    )
    MANIFEST_PAYLOAD = (
        "manifest-payload",
        "A manifest's document does not have its digest",
        "Restore its row from a backup; or delete it by its digest and push it again.",
    )
    MANIFEST_REFERENCE = (
        "manifest-reference",
        "A manifest names content that its repository cannot serve",
        "Push the image again; its tags stay.",
    )
    TAG = (
        "tag",
        "A tag does not lead to a manifest of its repository",
        "Push the tag again, or delete it.",
    )
    LINK = (
        "link",
        "A repository has a blob that has no row",
        "Push an image that has it again. Rows were lost: look for the fault in the database.",
    )

    def __init__(self, code: str, meaning: str, advice: str) -> None:
        self.code = code
        self.meaning = meaning
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what sort of thing, where, and details for people."""

    kind: ProblemKind
    where: str
    detail: str = ""


@dataclass(slots=True)
class Report:
    """What a check has seen: how many of each thing, and what is wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    _known: set[Problem] = field(default_factory=set)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, kind: ProblemKind, where: str, detail: str = "") -> None:
        """Add a problem, unless it is known already."""
        problem = Problem(kind, where, detail)
        if problem not in self._known:
            self._known.add(problem)
            self.problems.append(problem)

    def by_kind(self) -> Mapping[ProblemKind, list[Problem]]:
        """Return the problems by their kinds, in the order in which the kinds are declared."""
        found = {kind: [one for one in self.problems if one.kind is kind] for kind in ProblemKind}
        return {kind: problems for kind, problems in found.items() if problems}


class Watcher(Protocol):
    """Is told how far a check has come."""

    def begin(self, stage: str, total: int | None, *, is_bytes: bool = False) -> None:
        """Learn that a stage of so many steps or bytes begins, None when nobody knows."""

    def advance(self, steps: int) -> None:
        """Learn that so many more steps or bytes are done."""
