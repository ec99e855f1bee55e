"""Carrying out an import: repository by repository, each step safe to repeat.

Nothing is remembered between runs but what the registry holds: a run that was broken off, or
that comes later because the source has changed, takes over what is missing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from core.artifacts.errors import PreconditionFailed, TagExists
from core.artifacts.services.blobs import finish_upload, mount_blob
from core.artifacts.services.manifests import push_manifest
from core.artifacts.services.tags import create_tag
from core.artifacts.types import StoredBlob
from core.audit import services as audit
from core.blobs.errors import DigestMismatch, UploadUnknown
from core.blobs.rules import StoredCopy
from core.blobs.services import cancel_upload, open_session, start_upload
from core.blobs.sessions import UploadSession
from core.blobs.storing import examine_blob, examine_copy
from core.common.errors import DomainError, ErrorKind
from core.database import raw
from core.database.transactions import durable_write
from core.imports import queries, rules
from core.imports.errors import ImportRunning, SourceFault
from core.imports.tree import RegistryTree
from core.imports.types import BlobRoute, Finding, LiveTag, SourceManifest, TagStep, Tally
from core.oci.digest import Digest
from core.oci.reference import RepositoryName
from core.quotas.services import create_project
from core.rbac.types import Actor

IMPORTER = "registry import"
"""Who sets the tags and finishes the uploads of an import; no user can have a name like it."""

READ_BYTES = 1 << 20

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('core.imports', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('core.imports', 0))"

# These say that the registry cannot work now; any other refusal is about one manifest or blob.
_STOPPING = frozenset({ErrorKind.BUSY, ErrorKind.STORAGE_FULL, ErrorKind.UPSTREAM})


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What the operator asked for.

    ``default_project`` takes repositories whose name has no project. ``creates_projects``:
    private projects are made for names that have none yet.
    """

    source: Path
    default_project: str | None
    creates_projects: bool
    is_dry_run: bool


class Watcher(Protocol):
    """Who is told of the progress."""

    def found(self, repositories: int) -> None:
        """So many repositories will be looked at."""

    def begins(self, repository: str) -> None:
        """The next one is this."""

    def verified(self, size_bytes: int) -> None:
        """So many more bytes were read and hashed."""


def import_registry(plan: ImportPlan, *, watcher: Watcher, actor: Actor) -> Tally:
    """Take over what the source holds and the registry lacks; or only count it, in a dry run.

    Raises SourceInvalid, ImportRunning, and the errors of a database or a storage that cannot
    work now; what was taken over until then stays, and the next run goes on from there.
    """
    importer = replace(actor, label=IMPORTER)
    tally = Tally()
    with RegistryTree(plan.source) as tree, _alone():
        if not plan.is_dry_run:
            _forget_uploads()
        names = tree.repository_names(tally.findings.append)
        damaged: set[Digest] = set()
        watcher.found(len(names))
        projects = queries.project_ids()
        for name in names:
            watcher.begins(name)
            try:
                target = rules.target_name(name, plan.default_project)
                project_id = _project(target, projects, plan, actor=importer)
            except SourceFault as fault:
                tally.findings.append(Finding(name, str(fault)))
                continue
            work = _Work(
                tree, target, project_id, tally, watcher, importer, plan.is_dry_run, damaged
            )
            work.take_over(name)
        if not plan.is_dry_run:
            _record_import(plan, tally, actor=importer)
    return tally


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other imports out, so that unfinished uploads of imports are leftovers."""
    row = raw.fetch_one(_LOCK)
    if row is None or not row[0]:
        raise ImportRunning
    try:
        yield
    finally:
        raw.fetch_one(_UNLOCK)


def _forget_uploads() -> None:
    """End what an earlier run left half uploaded: it begins anew."""
    for upload in queries.open_uploads_of(IMPORTER):
        try:
            cancel_upload(upload.id, repository_name=upload.repository_name, owner=IMPORTER)
        except UploadUnknown:
            # It has expired, and the sweep takes it.
            continue


def _project(
    target: RepositoryName, projects: dict[str, int], plan: ImportPlan, *, actor: Actor
) -> int | None:
    """Return the project's id, made if that was asked for; None in a dry run that would."""
    found = projects.get(target.project)
    if found is not None:
        return found
    if not plan.creates_projects:
        raise SourceFault(
            f"There is no project {target.project}: create it, or use --create-projects."
        )
    if plan.is_dry_run:
        return None
    project_id: int = create_project(target.project, actor=actor).pk
    projects[target.project] = project_id
    return project_id


@durable_write
def _record_import(plan: ImportPlan, tally: Tally, *, actor: Actor) -> None:
    counts = asdict(tally)
    counts["findings"] = len(tally.findings)
    audit.record(
        "registry.imported",
        actor,
        target_kind="system",
        target_label=str(plan.source),
        detail=counts,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """Taking over one repository."""

    tree: RegistryTree
    target: RepositoryName
    project_id: int | None
    tally: Tally
    watcher: Watcher
    actor: Actor
    is_dry_run: bool
    damaged: set[Digest]
    """Blobs of all repositories that this import has met damaged and dealt with."""

    @property
    def name(self) -> str:
        return str(self.target)

    def take_over(self, name: str) -> None:
        """Take over what the source's repository of that name has and the target lacks."""
        self.tally.repositories += 1
        present = queries.manifests_of(self.name)
        source = self.tree.repository(name, present, self.tally.findings.append)
        self.tally.manifests_present += len(source.known)
        self._heal(name, source.known)
        taken = set(source.known)
        for manifest in source.manifests:
            if self._does(partial(self._manifest, manifest), f"{name}@{manifest.digest}"):
                self.tally.manifests += 1
                taken.add(manifest.digest)
        live = queries.live_tags_of(self.name)
        for tag, digest in source.tags.items():
            where = f"{name}:{tag}"
            if digest not in taken:
                self._report(where, f"The tag leads to {digest}, which is not taken over.")
                continue
            step = rules.tag_step(digest, live.get(tag), IMPORTER)
            if step is TagStep.NOTHING:
                self.tally.tags_present += 1
            elif step is TagStep.KEEP_THEIRS:
                self._report(where, "Somebody else has set the tag here; it stays.")
            elif self._does(partial(self._tag, tag, digest, live.get(tag)), where):
                self.tally.tags += 1

    def _heal(self, name: str, known: frozenset[Digest]) -> None:
        """Bring again what manifests that are here already have lost."""
        for blob in queries.blobs_of(self.name, known):
            if blob.digest in self.damaged:
                continue
            copy = examine_copy(blob.stored, blob.size_bytes, is_marked=blob.is_marked)
            if copy is StoredCopy.SOUND:
                continue
            self.damaged.add(blob.digest)
            where = f"{name}@{blob.digest}"
            try:
                self.tree.blob_bytes(blob.digest)
            except SourceFault as fault:
                self._report(where, f"The blob is damaged here, and not in the source. {fault}")
                continue
            if self._does(partial(self._from_source, blob.digest), where):
                self.tally.healed += 1

    def _does(self, step: Callable[[], object], where: str) -> bool:
        """Carry out a step unless nothing is to change; report what refuses it."""
        try:
            if not self.is_dry_run:
                step()
        except SourceFault as fault:
            self._report(where, str(fault))
            return False
        except DomainError as error:
            if error.kind in _STOPPING:
                raise
            self._report(where, error.message)
            return False
        return True

    def _report(self, where: str, reason: str) -> None:
        self.tally.findings.append(Finding(where, reason))

    def _manifest(self, manifest: SourceManifest) -> None:
        for blob in rules.required_blobs(manifest.parsed):
            self.tally.blobs[self._blob(blob.digest)] += 1
        push_manifest(
            self.name,
            project_id=self._existing_project,
            payload=manifest.payload,
            content_type=None,
            reference=manifest.digest,
            actor=self.actor,
        )

    @property
    def _existing_project(self) -> int:
        if self.project_id is None:
            raise AssertionError("Only a dry run goes on without a project.")
        return self.project_id

    def _blob(self, digest: Digest) -> BlobRoute:
        """Bring a blob into the repository: from the registry if it has it, else the source."""
        examined = examine_blob(digest)
        is_here = examined is not None and examined.copy is StoredCopy.SOUND
        # By its own link first: asking who else has a blob costs more.
        if is_here and (self._mount(digest, self.name) or self._mount(digest, None)):
            return BlobRoute.SHARED
        return self._from_source(digest)

    def _mount(self, digest: Digest, source: str | None) -> StoredBlob | None:
        return mount_blob(
            digest,
            source=source,
            target_name=self.name,
            project_id=self._existing_project,
            actor=self.actor,
            readable=lambda _: True,
        )

    def _from_source(self, digest: Digest) -> BlobRoute:
        with self.tree.open_blob(digest) as descriptor:
            return self._upload(digest, descriptor)

    def _upload(self, digest: Digest, descriptor: int) -> BlobRoute:
        upload = start_upload(
            project_id=self._existing_project,
            repository_name=self.name,
            actor_subject=IMPORTER,
            algorithm=digest.algorithm,
        )
        with open_session(
            upload.id, repository_name=self.name, owner=IMPORTER, expected_offset=0
        ) as session:
            try:
                route = self._bring(session, descriptor)
                finish_upload(session, digest, actor=self.actor)
            except DigestMismatch as error:
                raise SourceFault(f"Blob {digest} has other bytes than its digest says.") from error
            except SourceFault:
                session.discard()
                raise
        return route

    def _bring(self, session: UploadSession, descriptor: int) -> BlobRoute:
        pieces = self._pieces(descriptor)
        if session.adopt(descriptor, pieces):
            return BlobRoute.LINKED
        for piece in pieces:
            session.write(piece)
        return BlobRoute.COPIED

    def _pieces(self, descriptor: int) -> Iterator[bytes]:
        offset = 0
        while True:
            try:
                piece = os.pread(descriptor, READ_BYTES, offset)
            except OSError as error:
                raise SourceFault(f"A blob cannot be read: {error.strerror}.") from error
            if not piece:
                return
            yield piece
            offset += len(piece)
            self.tally.verified_bytes += len(piece)
            self.watcher.verified(len(piece))

    def _tag(self, tag: str, digest: Digest, live: LiveTag | None) -> None:
        try:
            if live is None:
                create_tag(self.name, digest, tag, actor=self.actor)
            else:
                self._move_tag(tag, digest, live)
        except (TagExists, PreconditionFailed) as error:
            raise SourceFault("Somebody has just set the tag here; it stays.") from error

    def _move_tag(self, tag: str, digest: Digest, live: LiveTag) -> None:
        if digest.algorithm != "sha256":
            # Only a push by tag can say what it replaces, and that push is under SHA-256.
            raise SourceFault("A tag of a manifest under another algorithm is not moved.")
        push_manifest(
            self.name,
            project_id=self._existing_project,
            payload=self.tree.manifest(digest).payload,
            content_type=None,
            reference=tag,
            if_match=f'"{live.digest}"',
            actor=self.actor,
        )
