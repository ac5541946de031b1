"""What the gateway asks of its stores: contracts, and the values that cross them."""
