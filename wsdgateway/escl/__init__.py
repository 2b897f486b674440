"""eSCL: capabilities, status, settings. One type for each wire type, strict when written, liberal when read."""
