"""Serves clients' requests: routes them, carries out the bridge's decisions, relays what scanners answer."""
