"""How each server is run: `run_NAME` is the module that `tams-gateway serve` starts."""
