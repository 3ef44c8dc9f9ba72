"""Heatmap, clusters and zone feeds."""
