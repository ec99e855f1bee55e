"""Management routes of a project's audit log, and what every route below a project shares.

``scope`` is the base of views below a project. ``audit_filters`` and ``audit_serializers``
show audit entries: the audit sink lies below the REST glue and cannot do so itself.
"""
