"""One bridged scanner: everything that the gateway decides, without clock, socket or reactor."""
