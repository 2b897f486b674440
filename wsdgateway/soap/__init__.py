"""SOAP 1.2 envelopes, WS-Addressing 2004/08 and faults, as values."""
