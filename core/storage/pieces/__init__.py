"""Uploads as lists of pieces that the service joins into a blob: what two clouds have in common.

A *piece* is stored under a name of its own and never changed; any number of bytes make one, so
nothing is ever read back. Which pieces belong to an upload stands in its state alone: what other
writers of it have stored is not joined, so no two of them can mix their bytes. Joining takes one
request that the service refuses when the blob is there already.

Modules: ``state`` (which pieces), ``service`` (what a cloud must do), ``writer``, ``reader``,
``driver``. ``core.storage.gcs`` and ``core.storage.azure`` are the services.
"""
