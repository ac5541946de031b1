"""What VAST does not write down, tried out on a cluster: `tams-gateway vast probe`."""
