"""Duplicates: search, pairs, merging, rejecting, and what a language model thinks of a pair."""
