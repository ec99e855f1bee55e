"""The Django core: tenancy, people, rights, content and audit. Runs without a worker."""
