"""Management routes of repository grants, of who is in a group, and of why somebody may.

``group_views`` stands here and not with the groups: to put somebody into one is to give what it
was granted.
"""
