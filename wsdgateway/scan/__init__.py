"""WS-Scan: operations, job status and events. One type for each wire type, written strictly and read liberally."""
