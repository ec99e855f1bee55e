"""Statistics: how many projects and repositories the caller sees, and how much is stored.

Nothing is stored for it. Neighbours: ``members`` and ``artifacts`` say what the caller may see,
``blobs`` keeps the bytes.
"""
