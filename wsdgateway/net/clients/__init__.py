"""Serves clients' requests: routes them, carries out the bridge's decisions, and relays scanners' answers."""
