"""A contact centre's CSV pipeline: files in, tickets with analysis and manager out (R-CSV-01)."""
