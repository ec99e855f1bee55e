"""Management routes of repository grants, and of why somebody may do something."""
