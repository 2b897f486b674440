"""Decides which clients may use which operations, how often, and which connections are admitted."""
