"""The only room that opens sockets for the data plane, on Twisted's transports."""
