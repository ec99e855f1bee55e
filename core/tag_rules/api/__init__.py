"""Management routes of immutable tag rules."""
