"""How the product reaches PostgreSQL: durable write blocks and raw statements."""
