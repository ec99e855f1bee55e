"""The protocols registry clients speak: a lean ASGI application without tables of its own."""
