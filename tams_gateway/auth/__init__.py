"""Who a request is for, and what that principal may do."""
