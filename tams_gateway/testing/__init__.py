"""The published kit: contracts as inheritable test classes, samples, a client."""
