"""Shares answers between clients: cached answers, one request for equal reads, duplicates of CreateScanJob."""
