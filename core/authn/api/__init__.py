"""Management routes of personal access tokens, and the check behind every request.

``credentials`` is named by the setting ``CREDENTIALS_CHECK``: the REST glue cannot import a
feature above it.
"""
