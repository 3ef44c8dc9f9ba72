"""A contact centre's CSV pipeline: files in, tickets with analysis and manager out (spec 5, sections 5 and 6)."""
