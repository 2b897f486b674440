"""The network part of several gateways on one Redis: ticks, takeovers, and the link between gateways."""
