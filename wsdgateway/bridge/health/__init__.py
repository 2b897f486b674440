"""The health of a scanner: its reachability, its own state, and its problem."""
