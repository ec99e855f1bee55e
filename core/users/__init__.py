"""People, groups and who administers the installation.

Words: *user* (a person with a password), *group* (a named set of users; local now, mirrored
from a directory later), *system administrator* (a user who may do everything).
Neighbours: ``authn`` verifies credentials, ``members`` gives users and groups roles.
"""
