"""Measurements from inside a lab. One probe a file."""
