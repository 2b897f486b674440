"""Commands that are run after a scan: processes, their output, and their time limits."""
