"""What our tables are, and how values lie in them."""
