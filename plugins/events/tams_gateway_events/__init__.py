"""Event sinks of a TAMS gateway: webhooks, and lines of the log."""
