"""Twins: where to look for them, staff's word on a pair, and what a language model thinks of one."""
