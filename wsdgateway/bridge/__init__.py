"""Makes the gateway's decisions for one scanner, without a clock, socket or reactor."""
