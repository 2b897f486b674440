"""Puts the gateway together: from the configuration's values to the services that twistd runs."""
