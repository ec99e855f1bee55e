"""Management routes of labels; those of an artifact's labels belong to ``core.artifacts``."""
