"""Decides about events: the subscription at the scanner, clients' subscriptions, what is sent to them."""
