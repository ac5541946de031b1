"""Background work: deletion, collection, copies, expiry; and the lease under which it runs."""
