"""Content-addressed bytes: durable blobs and the uploads that bring them in.

Knows digests and storage keys, nothing of manifests or tags, so every artifact format can
stand on it. Words: *blob* (immutable bytes under a digest), *upload* (a resumable session
that ends as a blob), *storage key* (where the driver keeps the bytes; never reused), *store*
(the name of the storage that a row means).
Invariants: a blob row is visible only when its bytes are durable; an upload has at most one
writer, fenced by ``lock_token`` and ``epoch``.

Besides the usual slots: ``claims`` (the statements that give one writer an upload's row and
fence off all others), ``keeping`` (renewing a claim while its writer waits for the storage),
``sessions`` (the object a request writes through), ``storing`` (how an object becomes, joins or
heals a blob inside the caller's transaction), ``sweeping`` (what removes bytes that nothing refers
to), ``verification`` (comparing blobs with their digests), ``moving`` (from the former storage to
the current one), ``unconfigured`` (storages that rows name and the configuration lacks) and
``pace`` (how fast work in the background may read).
"""
