"""What the gateway tells others of: events, their outbox, and the sinks that deliver them."""
