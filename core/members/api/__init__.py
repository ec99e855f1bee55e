"""Management routes of projects, members and roles, and of what depends on them.

Projects live here rather than in ``core.projects`` because every answer about one names the
caller's roles in it, and creating one makes the creator its administrator. Numbers of
repositories are counted through the reverse relation ``repositories``, the only thing known
here of the feature above. ``views`` has members and roles, ``project_views`` projects,
``access_views`` the caller's own view of permissions and logs.
"""
