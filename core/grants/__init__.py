"""Rights below the project: pull, push or delete on one repository, kept by django-guardian.

Also the grant source of the permission evaluator: it joins memberships with these grants.
"""
