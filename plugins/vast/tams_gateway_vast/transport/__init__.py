"""Requests to a cluster: endpoints, transactions, and the border to the SDK."""
