"""Clients that send the requests of real eSCL clients, with their header fields, and react to errors as those do."""
