"""Quotas: how many bytes a project may hold.

Words: *limit* (``hard.storage`` on the wire), *usage* (``used.storage``: each content of a
project once, however many of its repositories hold it), *change* (what one transaction adds to
the usage of a project, or takes from it). ``core.usage``, above the artifacts, knows what a
project holds and writes the changes; here they meet the limit.

The database keeps a project below its limit, whoever writes: when a transaction that changed the
usage of a limited project commits, its changes are added to the project's row, or the commit is
refused (``QuotaExceeded``). That is its last step, so it holds the row only while the commit
reaches the disk. Projects without a limit have no such row to wait for: their changes stay as
they are until ``services.fold_usage`` adds them up, once a minute.

Lies below the members, who make projects with a limit and show it in their summary.
"""
