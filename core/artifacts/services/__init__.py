"""Writes of repositories and their content, one module for each kind of thing.

``repositories``: created by the first push, described, deleted. ``blobs``: uploads that end as
blobs of a repository, mounts, deletes, leases. ``manifests``: pushes, and the deletes of registry
clients. ``deleting``: of artifacts, with their ``belongings``. ``tags``: tags without a push.
``history``: the rows of tags, which the three share. ``waiting``: references of manifests to
content that is not there yet. ``discarding``: the way into the trash, and ``restoring`` the way
back. ``expiry``: tags that end by themselves. ``naming``: repositories under other names.
``labels``: put on manifests and taken off. ``copies``: artifacts of one repository for another, by
way of the others, as ``bulk`` acts on many of one repository. ``marks``: what lists go by,
compared with what is there.

Locks, taken in this order everywhere so that nobody waits in a ring. First the project's row,
where it is locked at all: KEY SHARE by what creates repositories and by deletes, UPDATE by
renaming it. Then the repository's
row: KEY SHARE for pushes, uploads, mounts and single tags, which may run side by side; FOR
UPDATE for deletes of content and for pushes that leave or fill a gap (``waiting``), which run
alone in their repository. Then blobs and links by
blob id, manifests by id (a child is older than its index; triggers mark the children of a new
index and manifests that get tags, so all these come before the tags), a label, tags by name, what
gatekeepers lock, and at the very end the update of the repository's row. What a statement does to
links and manifests is counted with it (``core.usage``): the contents of a project, blobs before
manifests and by digest, are locked right behind them. The quota of a project comes last of all,
when the transaction commits.
"""
