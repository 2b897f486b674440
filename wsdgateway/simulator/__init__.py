"""The virtual scanner: a WSD device with jobs, events, images, and faults on demand."""
