"""The composition of the gateway: from the configuration's values to the services that twistd runs."""
