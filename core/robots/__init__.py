"""Robots: non-human subjects of one project or of the system, for pipelines and clusters.

A robot's permissions are fixed on the robot, not taken from roles. Its secret is made here and
shown once, or chosen by whoever makes the robot; it is stored hashed, and can be rotated with an
overlap in which the old one still works.
``authenticator`` turns a robot's credentials into an actor; it is named in the setting
``AUTHENTICATORS``. ``lookups`` reads secret and rights in the one prepared statement of a token.
"""
