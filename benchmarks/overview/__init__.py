"""How long the Overview takes, and how long it took before."""
