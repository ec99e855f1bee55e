"""Blobs as objects of a bucket that speaks the S3 protocol.

``<prefix>blobs/<2 hex>/<32 hex>`` is a committed blob, and the key of the multipart upload that
becomes one: nothing is ever copied or moved. What is too small to be a part is kept as *tail*
objects, ``<prefix>uploads/<2 hex>/<32 hex>/tail.<name>``, until more bytes or the end come.

Modules: ``options`` (what is configured), ``state`` (what the caller keeps between requests),
``failures`` (errors of the service and their translation), ``connection`` (clients and threads
of this process), ``bucket`` (the requests), ``writer``, ``committing``, ``reader``, ``signing``
(links for clients), ``probing`` (is it usable?), ``driver``.
"""
