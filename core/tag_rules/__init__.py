"""Immutable tags: rules of a project that keep tags from being moved or deleted.

Words: a *rule* has a selector of repositories and one of tags; a tag is *immutable* when some
enabled rule of its project selects both. Patterns are those of ``core.common.doublestar``, and
repositories are matched by their path within the project. Neighbours: ``artifacts`` above asks
before it moves or ends a tag, and shows which tags are immutable.

``gatekeeper`` refuses those writes; it is named in the setting ``GATEKEEPERS``. It stands below
``artifacts`` and knows of a write only what ``types.TagWrite`` says. ``holding`` has the lock
that the gatekeeper and the services share: once the answer to a stricter rule has been sent, no
write moves or ends a tag that it covers, not even one that had begun before.
"""
