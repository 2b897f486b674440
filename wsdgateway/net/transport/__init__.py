"""What the other packages of `net` share: listeners, time limits, name lookups, clocks, accounting."""
