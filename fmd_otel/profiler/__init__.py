"""Where a request spends its time, by looking at its stack now and then (monitor level 3)."""
