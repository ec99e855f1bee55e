"""Blobs as block blobs of one container of Azure Blob Storage.

``<prefix>blobs/<2 hex>/<32 hex>`` is a committed blob, and the name that the blocks of its upload
are put under: nothing is ever copied or moved. A *piece* is a block; blocks that are not committed
are seen by nobody, and the service drops them a week after the last one came.

Modules: ``options`` (what is configured), ``connection`` (clients of this process), ``failures``
(errors of the service and their translation), ``service`` (the requests), ``driver``.
"""
