"""After-commit events: a feature announces, features above it listen.

An event is a frozen dataclass in the past tense from a feature's ``events.py``. Subscribers
are named by the setting ``EVENT_SUBSCRIBERS``, so the announcing feature knows none of them.
"""
