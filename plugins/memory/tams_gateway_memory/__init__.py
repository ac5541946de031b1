"""The plugin `memory`: everything in one process, gone when it ends."""
