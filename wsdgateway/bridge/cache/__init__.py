"""Answers that serve many clients: kept ones, one request for equal reads, duplicates of CreateScanJob."""
