"""How changes are decided and written, by one writer at a time."""
