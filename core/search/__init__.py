"""Search: projects and repositories whose name contains a text, as far as the caller sees them.

Nothing is stored. Neighbours: ``members`` and ``artifacts`` say what the caller may see.
"""
