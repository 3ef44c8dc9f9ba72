"""Doors to services outside: each behind a small interface, with a stand-in that needs no network."""
