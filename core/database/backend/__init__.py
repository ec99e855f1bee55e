"""Django's PostgreSQL backend, with transactions that make fewer journeys to the server."""
