"""Everything that needs a worker: runs, schedules and the work they do."""
