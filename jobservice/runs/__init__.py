"""Runs: durable rows for asynchronous work, and the schedules that ask for it.

Words: *run* (one execution of a kind of work on a subject), *kind* (a name that a worker
knows how to carry out), *schedule* (asks for a run at certain times). A run is written in the
transaction that wants it; the broker carries only its id, and a lost message is sent again.
"""
