"""Personal data out of texts: what is looked for, and the words that stand beside it."""
