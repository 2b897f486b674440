"""HTTP/1.1 messages as values, parsed by httptools (llhttp), without sockets."""
