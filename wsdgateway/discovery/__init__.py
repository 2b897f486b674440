"""WS-Discovery as values: messages, and the matching of types and scopes."""
