"""Several gateways as processes: starts them, records what clients and the scanner see, and checks it."""
