"""Scrub: content is read again in the background and compared with its digests.

Words: *period* (everything is compared once within it), *share* (the bytes that one run reads).
Runs come every hour and take what was compared longest ago. No tables of its own: when a blob
was verified, and whether it is damaged, stands in its row.
"""
