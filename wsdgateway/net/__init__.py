"""The sockets of clients and scanners, on Twisted's transports."""
