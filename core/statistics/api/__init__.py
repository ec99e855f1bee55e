"""Management route of the statistics."""
