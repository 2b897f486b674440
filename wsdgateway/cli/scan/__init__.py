"""`wsdgateway scan`: a small client that scans into files."""
