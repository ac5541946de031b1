"""HTTP: the table of routes, the pipeline around operations, and the two Falcon adapters."""
