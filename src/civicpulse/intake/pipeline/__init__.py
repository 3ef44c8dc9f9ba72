"""The CSV pipeline of a contact centre: files in, tickets with analysis and manager out (spec 5, sections 5 and 6)."""
