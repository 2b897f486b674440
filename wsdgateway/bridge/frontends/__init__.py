"""Client protocols: translate requests to questions for the bridge, and its decisions to answers."""
