"""Decides which clients may do what, and how much of it."""
