"""Whether what is stored is what it should be: ``roadstead fsck``.

Compares the storages with the rows of blobs and uploads, and the rows with each other. It runs
beside a registry at work: whatever looks wrong is looked at again before it is reported, since
blobs come and go meanwhile. Words: *problem* (something that somebody has to attend to).

Besides the usual slots: ``contents`` (storages against rows), ``rows`` (rows against rows and
documents), ``reporting`` (how a terminal and a program get to see it).
"""
