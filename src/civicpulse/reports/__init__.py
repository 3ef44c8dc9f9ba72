"""The reports inbox: reports are kept as they come, and a job opens a request for each (R-INT-08)."""
