"""Rights below the project: pull, push or delete on one repository, kept by django-guardian.

``source`` is the grant source of the permission evaluator (setting ``RBAC_GRANT_SOURCE``):
one statement that joins memberships, roles and these grants. ``lookups`` reads the same along
with a user's credentials, in the one prepared statement of a token. ``gatekeeper`` is one of the
``GATEKEEPERS``: it ends what rests on grants of a repository that is deleted. Who is put into a
group is decided here, because whoever does that gives all that the group holds.
"""
