"""How records, segments and events are found."""
