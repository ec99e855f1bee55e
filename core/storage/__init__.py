"""Blob drivers: where bytes live, behind one small interface.

A driver stores objects under keys it is given and knows nothing of digests, repositories or
the database. An *upload* is unfinished bytes; a *blob* is an upload that was committed, from
then on unchangeable. A key belongs to one upload for ever and is never used again.

Neighbours: ``core.blobs`` keeps the rows that map digests to keys and is the only caller.

Modules: ``types`` (the interface), ``errors``, ``keys`` (how a key looks), ``layout`` (the
folders of the filesystem driver), ``filesystem`` and ``filesystem_upload`` (that driver and
its writer), ``writeback`` (a hint to the kernel), ``s3`` (the driver for buckets),
``selection`` (the configured driver), ``hashing`` and ``libcrypto`` (digests that can be put
aside and resumed elsewhere).
"""
