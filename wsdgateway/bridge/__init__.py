"""Everything that the gateway decides for one scanner, without clock, socket or reactor."""
