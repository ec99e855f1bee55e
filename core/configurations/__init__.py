"""Changing run-time settings: ``/configurations``, and what a change must respect.

The settings themselves are in ``core.system_settings``, below every feature, so that each may
read them. A change must know features (no user may have a name like a robot's), so it is made
here. ``gatekeepers.py`` holds the gatekeeper of read-only mode, which the settings name.
"""
