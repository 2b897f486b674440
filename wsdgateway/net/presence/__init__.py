"""Finds a scanner, follows it, and stands in for it where clients look for it."""
