"""Decides which clients may do what, how much of it, and which connections are admitted."""
