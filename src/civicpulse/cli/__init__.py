"""Operator commands, one file a group; processes.py starts and stops."""
