"""TAMS Gateway: a server of the BBC's Time-addressable Media Store API, version 8.2."""

__version__ = "0.1.0"
API_VERSION = "8.2"
"""The version of the TAMS API that the gateway serves (R-SVC-01)."""
