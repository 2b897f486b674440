"""Decisions about discovery: knowledge of devices, the devices to bridge, and announcements."""
