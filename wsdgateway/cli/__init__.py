"""The console script `wsdgateway`."""
