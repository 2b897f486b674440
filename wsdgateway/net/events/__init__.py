"""Carries events: the subscriptions at a scanner, its notifications, clients' subscriptions, deliveries."""
