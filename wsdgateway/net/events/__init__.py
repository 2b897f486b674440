"""Event handling: subscriptions at scanners, their notifications, clients' subscriptions, and deliveries."""
