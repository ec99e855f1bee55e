"""Fixtures for every test; the services themselves start in tests/support/services.py."""
