"""Management routes of robots."""
