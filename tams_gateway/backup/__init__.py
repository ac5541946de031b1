"""Copies of a whole store: made, restored and verified, whatever plugins keep it."""
