"""Composes the gateway: builds the services that twistd runs from the configuration."""
