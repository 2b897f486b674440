"""HTTP/1.1 as values: httptools (llhttp) reads it, nothing here opens a socket."""
