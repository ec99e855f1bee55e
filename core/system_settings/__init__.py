"""Run-time settings: what administrators change while the product runs.

Each is declared once, in ``types.Settings``, with its type, default, bounds and help. What was
changed is kept in one row; the rest has its default, for two of them from the environment. This
package knows no features, so every feature may read them; ``core.configurations`` changes them
over the API.

Three ways to read. ``queries.current`` is for what may be a moment old: a process remembers the row
for ``queries.FRESH_SECONDS``, so that no pull reads it. ``queries.committed`` is for answers that
show settings: it reads each time. ``queries.share_locked`` is for what must hold at once: it reads
inside the caller's transaction, and a change waits until that has ended.
"""
