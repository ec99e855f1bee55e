"""Roles and memberships: which user or group holds which role in which project.

Words: *role* (a named permission set; five are built in, others are rows), *membership* (a
user or a group holding one role in one project).
Neighbours: ``grants`` reads memberships to answer the permission evaluator.
"""
