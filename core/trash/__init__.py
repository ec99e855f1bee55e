"""The trash: what was deleted can be restored for a time, seven days unless settings differ.

Words: an *entry* is one deletion, of a tag, of a manifest with its tags, or of a repository with
all it held; it is *kept* until an instant that is fixed when it is made, then let go of. The
*window* of a project is how long that is.

Tables and the way in belong to ``core.artifacts``, whose deletes fill them in their own
transactions; what grants there were is kept by ``core.grants``. Here is the way out, and with it
the way of a tag back to what it named earlier.
"""
