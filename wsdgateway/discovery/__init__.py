"""WS-Discovery: messages as values, and the matching of types and scopes."""
