"""How well duplicates would have been found in a city's own history: a file of requests replayed against its labels."""
