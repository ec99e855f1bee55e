"""The only REST glue: base view, credentials, permissions, lists, errors, documentation.

Features keep their routes, views and shapes in their own ``api`` folder and build on this
package, which knows none of them. The shapes on the wire are those of Harbor's API v2.0, so
that its clients work unmodified.

Modules: ``views`` (the base view), ``permissions`` (what a route declares about access),
``authentication`` and ``origin`` (who calls, from where), ``parsers`` (request bodies),
``errors`` (the one error renderer), ``pagination``, ``query_language`` and ``listing``
(``page``, ``q`` and ``sort``), ``exports`` (lists as files), ``fields`` (serializer bases),
``conditions`` (entity tags), ``idempotency`` (keys of POST, with the one table in ``models``),
``documentation``, ``conventions``, ``links``, ``examples`` and ``example_bodies`` (OpenAPI),
``explorer`` (the pages that show it), ``system`` (routes about the installation itself).
"""
