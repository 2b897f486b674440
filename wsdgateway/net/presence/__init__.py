"""Finds a scanner, follows its address, and represents it to clients that search for it."""
