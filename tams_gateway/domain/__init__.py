"""Values and rules of TAMS: pure, without I/O and without a clock."""
