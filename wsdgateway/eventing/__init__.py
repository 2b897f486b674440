"""WS-Eventing 2004/08: messages, filters and expiry, as values."""
