"""Decisions about events: the subscription at the scanner, clients' subscriptions, and the deliveries to clients."""
