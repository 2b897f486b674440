"""The shared parts of the other packages of `net`: listeners, time limits, name lookups, clocks, accounting."""
