"""A load driver for any TAMS server, of the standard library alone; Linux.

`wire` sends, `site` knows one server and fills it, `operations` are what is sent, `rounds` let
several loads take turns, `report` tells what came of it.
"""
