"""The inbox: reports are kept as they come, and a job makes requests of them (spec 3, section 1)."""
