"""People, groups and who administers the installation.

Words: *user* (a person with a password), *group* (a named set of users; local now, mirrored
from a directory later), *system administrator* (a user who may do everything), *revocation*
(what was issued to a subject before an instant no longer counts).
Neighbours: ``authn`` verifies credentials, ``members`` gives users and groups roles.

Slots of its own: ``passwords.py`` hashes and checks passwords, because the services here,
``robots`` and ``authn`` need it; ``revocations.py`` is what features that take rights away call;
``htpasswd.py`` reads that file format; ``registrations.py`` counts visitors who ask for an account.
"""
