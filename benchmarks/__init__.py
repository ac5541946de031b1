"""What the gateway costs: a load driver for any TAMS server, and what is measured with it."""
