"""Blobs as objects of one bucket of Google Cloud Storage.

``<prefix>blobs/<2 hex>/<32 hex>`` is a committed blob. A *piece* is the object
``<prefix>uploads/<2 hex>/<32 hex>/<piece>``. The service composes the blob of up to 32 of them at
a time, without a byte travelling again, and the pieces are removed.

Modules: ``options`` (what is configured), ``connection`` (clients of this process), ``failures``
(errors of the service and their translation), ``service`` (the requests), ``signing`` (links for
clients), ``driver``.
"""
