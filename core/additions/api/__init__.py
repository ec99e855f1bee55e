"""Management routes of additions and icons."""
