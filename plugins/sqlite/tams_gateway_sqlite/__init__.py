"""The plugin `sqlite`: metadata in one SQLite file, durable, for several processes."""
