"""Everything that can break, broken on purpose; docs/development.md lists scenario and test.

Each test ends with the invariants of `invariants` (database and storage compared, every byte
hashed again) and with `pulls` (everything fetched over HTTP and compared with its digest);
then the housekeeping of `sweeper` may leave nothing behind.

What breaks: `webs` (a web process armed with failpoints; `steps` names what a death leaves),
`strace` (system calls that fail, or are recorded), `power` (what a disk may hold after a power
cut), `databases`, `storms` (a bucket that fails at random), `slow_clients`. Who works meanwhile:
`load` and the clients of `patience`, who try again as registry clients do. `soak` does all of it
at random, for as long as one likes.
"""
