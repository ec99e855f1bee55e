"""Housekeeping: expired uploads and tokens, folded pull records. No tables of its own."""
