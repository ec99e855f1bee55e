"""Management routes of the trash, and of tags that return to what they named."""
