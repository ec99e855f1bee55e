"""Management route of the search."""
