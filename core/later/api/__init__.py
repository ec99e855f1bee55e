"""Routes of the later operations, made from the table."""
