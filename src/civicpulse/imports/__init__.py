"""Bulk import of a city's own request history from files, by a mapping that is data."""
