"""Tenants: a project holds repositories and has members; it is public or private.

Neighbours: ``members`` gives roles in it, ``artifacts`` keeps its repositories.
"""
