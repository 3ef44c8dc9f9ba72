"""When promises fall due: the sweep of due clocks and the explanation of a deadline."""
