"""Crashes on purpose: kill -9 at every step of an upload, lost Redis, full disks.

`steps` names the places where the server dies and what it must leave behind, `webs` runs a
web process that is armed to die there, `invariants` reads database and storage and compares
them, `sweeper` runs the housekeeping of uploads at once.
"""
