"""What leaves as files: the document dump."""
