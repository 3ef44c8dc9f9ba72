"""What of a request is whose: what the public reads, and what is taken out by law."""
