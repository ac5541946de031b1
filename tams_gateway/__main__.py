"""`python -m tams_gateway` is `tams-gateway`."""

from tams_gateway.cli.main import main

main(prog_name="tams-gateway")
