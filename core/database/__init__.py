"""How the product reaches PostgreSQL: durable write blocks, raw statements, shared look-ups."""
