"""Several gateways on one Redis: which of them owns each scanner, and how requests reach the owner."""
