"""A captured scanner as a virtual device: it answers as the real one did."""
