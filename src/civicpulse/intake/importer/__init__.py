"""Bulk import of a city's own request history from CSV, by a mapping that is data."""
