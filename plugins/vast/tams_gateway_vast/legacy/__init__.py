"""`tams-gateway vast import-legacy`: the older server's tables, taken into any store of ours."""
