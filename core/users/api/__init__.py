"""Management routes of people and groups; ``group_views`` has those of groups."""
