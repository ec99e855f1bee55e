"""Moves: a project gets another name, or a repository another project.

Words: a *former name* is what a repository was called before; a *redirect* leads pulls from there
to the repository as long as nothing else takes the name (docs/adr/0019).

No tables: a move is one transaction over those of projects, artifacts, robots, tokens and grants,
whose services each know what follows a name. Lies above them all.
"""
