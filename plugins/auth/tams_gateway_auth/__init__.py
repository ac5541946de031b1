"""Users, tokens and bearer tokens for a TAMS gateway."""
