"""Management routes of run-time settings."""
