"""Taking over what another registry keeps.

Words: a *source* is the directory of a reference registry (the one that the `distribution`
project publishes), a *finding* is something in it that is not taken over, with the reason. What
is taken over goes through the services of a push, so every rule of a push holds for it.
Neighbours: ``artifacts`` and ``blobs`` store, ``projects`` makes projects.

Besides the usual slots: ``tree`` reads the directory of a source and never leaves it.
"""
