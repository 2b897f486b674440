"""The exchange log: requests, responses and events as log lines, as captures on disk, and as a live stream."""
