"""WS-Scan: operations, job status, events; one type per wire type, strict when written, liberal when read."""
