"""The HTTP server for clients: connections, exchanges, admission."""
