"""Client protocols: from a request to a question for the bridge, from a decision to an answer."""
