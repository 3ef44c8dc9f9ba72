"""What stands before every operation: doors that bound what comes in, how often and how slowly, and a book of what passed."""
