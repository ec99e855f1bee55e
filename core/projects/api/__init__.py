"""Management routes of a project's audit log and metadata, and what routes below it share.

``metadata_views`` reads and writes metadata one by one, and ``scope`` is the base of views
below a project. ``audit_filters`` and ``audit_serializers`` show audit entries: the audit sink
lies below the REST glue and cannot do so itself.
"""
