"""Management routes of a project's audit log, and what every route below a project shares."""
