"""WS-Discovery on the links of this host, as a client and as target services."""
