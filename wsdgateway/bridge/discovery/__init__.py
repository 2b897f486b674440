"""Decides about discovery: what is known of devices, which are bridged, what is announced."""
