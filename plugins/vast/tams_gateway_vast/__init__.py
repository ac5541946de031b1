"""The plugin `vast`: metadata in a VAST Database, for any number of machines."""
