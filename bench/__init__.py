"""The performance table: `python -m bench`, on a database of its own. docs/benchmarks.md says how to read it."""
