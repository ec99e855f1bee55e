"""Writes of repositories and their content, one module for each kind of thing.

``repositories``: created by the first push, described, deleted. ``blobs``: uploads that end
as blobs of a repository, mounts, deletes, leases. ``manifests``: pushes and deletes. ``tags``:
tags without a push. ``history``: the rows of tags, which the three share.

Order of locks, the same everywhere so that nobody waits in a ring: repository (KEY SHARE),
blobs by id, child manifests by id, the manifest itself, tags by name, repository (update).
"""
