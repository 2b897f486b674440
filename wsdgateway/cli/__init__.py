"""The console script for people."""
