"""Management routes of moves."""
