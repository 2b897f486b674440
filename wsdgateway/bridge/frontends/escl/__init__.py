"""eSCL in front of WS-Scan: reads requests, and maps capabilities, settings, states and faults."""
