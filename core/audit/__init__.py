"""Audit: who did what to what, from where, with which outcome; kept as plain values.

Entries outlive the users and projects they name. Writes are recorded in the transaction of
the change; pulls and token logins pass through a buffer that is flushed twice a second.
``forwarding`` sends entries to a syslog server, if the run-time settings name one.
"""
