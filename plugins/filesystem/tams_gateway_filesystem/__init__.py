"""Objects as files of one directory, served by the gateway itself."""
