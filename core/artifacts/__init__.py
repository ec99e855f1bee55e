"""Repositories and what they hold: manifests, tags with their history, referrers.

Words: *repository* (``project/path``), *manifest* (an immutable document under a digest),
*artifact* (a manifest seen as a thing users care for), *tag* (a name that points at a
manifest for a period of time; the live one has no end), *referrer* (a manifest whose subject
is another). A repository sees only blobs linked to it (``RepositoryBlob``).
Neighbours: ``blobs`` below keeps the bytes; gatekeepers named in the settings may refuse a
write.

Besides the usual slots: ``gatekeepers`` (asks them), ``pulls`` (counts pulls, which are too
frequent for a service call each), ``contents`` (reads small blobs for people), ``attributes``
(what configurations say, read once and kept). ``services`` is a package, for it would be too long
a file. ``lookups.py`` holds the reads that requests begin with, many of them in one prepared
statement.
"""
