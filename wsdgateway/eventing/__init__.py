"""WS-Eventing 2004/08: messages and expiry, as values."""
