"""Management routes of quotas."""
