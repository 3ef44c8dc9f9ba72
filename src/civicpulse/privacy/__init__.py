"""The right to be forgotten: all of a person's words and contact data, wherever they lie."""
