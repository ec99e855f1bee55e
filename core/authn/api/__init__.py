"""Management routes of personal access tokens.

``authentication.py`` proves who sends any request of the management API; Django REST
framework's setting for authentication names it, so the REST glue need not know this feature.
"""
