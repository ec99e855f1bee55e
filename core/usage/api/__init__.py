"""Management routes of the storage explorer."""
