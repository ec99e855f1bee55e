"""Usage: what the projects hold, and what of it they share, need or could do without.

Words: *content* (a blob or a manifest, by its digest), *holder* (a repository that has the
content; a project's content counts once, whatever the number of its holders), *logical bytes*
(as if every holder had a copy of its own), *deduplicated bytes* (each content once), *pending
garbage* (what no manifest needs and the collection of garbage may take).

``migrations/0001`` puts triggers on the tables of the artifacts, so that every write, of
whatever feature, is counted in its own transaction: they keep ``ProjectContent``, and note what
it adds to the usage of a project, or takes from it, as a change that ``core.quotas`` judges when
the transaction commits. ``services.reconcile`` compares with what is really there.

The figures of the storage explorer are counted when somebody asks, and those of many contents
kept for a while as a ``StorageCount``; ``rules`` says how long.
"""
