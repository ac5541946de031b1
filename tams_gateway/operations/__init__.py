"""The operations of the API: one function for each operationId, and the rules they share."""
