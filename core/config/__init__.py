"""Composition root: names the rest of the product by dotted string; nobody imports it."""
