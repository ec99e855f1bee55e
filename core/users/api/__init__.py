"""Management routes of people and groups."""
