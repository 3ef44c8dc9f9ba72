"""Who gets a request: by skill, shift and load, over offices, in bulk, and what another policy would have done."""
