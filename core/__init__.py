"""The Django core: tenancy, people, rights, content and audit. Runs without a worker."""

__version__ = "0.1.0.dev0"
