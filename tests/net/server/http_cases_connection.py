"""Cases of RFC 9112 section 9 and of RFC 9110: persistence, pipelining, Upgrade, Expect, and methods."""

from tests.net.server.http_cases import (
    CHUNKED,
    EMPTY,
    FIELDS,
    HELLO,
    OLD,
    PATH,
    POST,
    Case,
    answers_only,
    refuses,
    takes,
    takes_last,
)

GET = b"GET " + PATH + b" HTTP/1.1\r\nHost: gateway\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
EXPECT = b"Expect: 100-continue\r\n"

PERSISTENCE = [
    takes("RFC 9112 9.3", "HTTP/1.1 persists", POST + EMPTY),
    takes_last("RFC 9112 9.3", "HTTP/1.0 does not", OLD + EMPTY),
    takes("RFC 9112 9.3", "HTTP/1.0 with keep-alive does", OLD + b"Connection: keep-alive\r\n" + EMPTY),
    takes("RFC 9110 7.6.1", "options in any case", OLD + b"Connection: Keep-Alive\r\n" + EMPTY),
    takes_last("RFC 9112 9.3", "HTTP/1.0 with keep-alive and close does not",
               OLD + b"Connection: keep-alive, close\r\n" + EMPTY),
    takes_last("RFC 9112 9.3", "nor with close and keep-alive", OLD + b"Connection: close, keep-alive\r\n" + EMPTY),
    takes_last("RFC 9112 9.3", "nor with the two in two fields",
               OLD + b"Connection: close\r\nConnection: keep-alive\r\n" + EMPTY),
    *(takes_last("RFC 9112 9.6", f"Connection: {value.decode()}", POST + b"Connection: " + value + b"\r\n" + EMPTY)
      for value in [b"close", b"Close", b"CLOSE", b"close, keep-alive", b"keep-alive, close", b"x, close", b"close,x",
                    b", close ,", b"\tclose\t"]),
    takes_last("RFC 9110 5.3", "close in a second field", POST + b"Connection: x\r\nConnection: close\r\n" + EMPTY),
    *(takes("RFC 9110 7.6.1", f"Connection: {value.decode()} is no close",
            POST + b"Connection: " + value + b"\r\n" + EMPTY)
      for value in [b"closed", b"x-close", b'"close"', b"", b"keep-alive", b"x", b"content-length"]),
    takes_last("RFC 9112 9.6", "what follows a close is not read",
               POST + b"Connection: close\r\n" + EMPTY + POST + EMPTY),
    takes_last("RFC 9112 9.6", "a close with a body", POST + b"Connection: close\r\n" + HELLO, b"hello"),
    answers_only("RFC 9112 9.6", "a close that is only answered", GET + b"Connection: close\r\n\r\n", 405,
                 goes_on=False),
]

PIPELINES = [
    Case("RFC 9112 9.3.2", "answers in the order of the requests",
         POST + HELLO + CHUNKED + b"2\r\nhi\r\n0\r\n\r\n" + POST + EMPTY,
         (200, 200, 200), True, (b"hello", b"hi", b"")),
    Case("RFC 9112 9.3.2", "some requests of a pipeline are refused for their method",
         POST + HELLO + GET + b"\r\n" + POST + b"\r\n", (200, 405, 200), True, (b"hello", b"")),
    Case("RFC 9112 2.2", "empty lines between requests", POST + HELLO + b"\r\n\r\n" + POST + EMPTY, (200, 200), True,
         (b"hello", b"")),
    Case("RFC 9112 9.3.2", "a close within a pipeline",
         POST + HELLO + POST + b"Connection: close\r\n" + EMPTY + POST + EMPTY, (200, 200), False, (b"hello", b"")),
    Case("RFC 9112 9.3.2", "an invalid request within a pipeline", POST + HELLO + b"nonsense\r\n\r\n" + POST + EMPTY,
         (200, 400), False, (b"hello",)),
    Case("RFC 9112 9.3.2", "HTTP/1.0 within a pipeline", POST + HELLO + OLD + EMPTY + POST + EMPTY, (200, 200),
         False,
         (b"hello", b"")),
]

UPGRADES = [
    takes_last("RFC 9110 7.8", "an upgrade is ignored", POST + UPGRADE + HELLO, b"hello"),
    takes_last("RFC 9110 7.8", "an upgrade with chunks",
               POST + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    takes_last("RFC 9110 7.8", "an upgrade without a body", POST + UPGRADE + b"\r\n"),
    takes_last("RFC 9110 7.8", "bytes after an ignored upgrade are not read",
               POST + UPGRADE + EMPTY + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    takes_last("RFC 9110 7.8", "an upgrade to WebSocket",
               POST + b"Connection: upgrade\r\nUpgrade: websocket\r\n" + HELLO,
               b"hello"),
    takes("RFC 9110 7.8", "Upgrade that Connection does not name", POST + b"Upgrade: h2c\r\n" + HELLO, b"hello"),
    takes("RFC 9110 7.8", "Connection that names an Upgrade that is not there",
          POST + b"Connection: upgrade\r\n" + HELLO,
          b"hello"),
    takes_last("RFC 9110 7.8", "an upgrade in HTTP/1.0 is ignored", OLD + UPGRADE + HELLO, b"hello"),
    refuses("RFC 9110 15.5.14", "an upgrade with too large a body", POST + UPGRADE + b"Content-Length: 1001\r\n\r\n",
            413),
    refuses("RFC 9112 6.3", "an upgrade with two lengths", POST + UPGRADE + b"Content-Length: 5\r\n" + HELLO),
    refuses("RFC 9112 7.1", "an upgrade with a bad chunk",
            POST + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\nx\r\n"),
]

EXPECTATIONS = [
    takes("RFC 9110 10.1.1", "100-continue", POST + EXPECT + HELLO, b"hello", in_bytes=(100, 200)),
    takes("RFC 9110 10.1.1", "100-continue in any case", POST + b"Expect: 100-Continue\r\n" + HELLO, b"hello",
          in_bytes=(100, 200)),
    takes("RFC 9110 10.1.1", "100-continue before chunks",
          POST + EXPECT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello", in_bytes=(100, 200)),
    takes("RFC 9110 5.3", "100-continue twice", POST + EXPECT * 2 + HELLO, b"hello", in_bytes=(100, 200)),
    takes("RFC 9110 10.1.1", "100-continue without a body", POST + EXPECT + EMPTY),
    takes("RFC 9110 5.6.1", "no expectation at all", POST + b"Expect:\r\n" + HELLO, b"hello"),
    takes_last("RFC 9110 10.1.1", "HTTP/1.0 has no 100-continue", OLD + EXPECT + HELLO, b"hello"),
    takes_last("RFC 9110 7.8", "100 before an upgrade that is ignored", POST + UPGRADE + EXPECT + HELLO, b"hello",
               in_bytes=(100, 200)),
    refuses("RFC 9110 15.5.18", "another expectation", POST + b"Expect: 200-ok\r\n" + HELLO, 417),
    refuses("RFC 9110 15.5.18", "another one beside it", POST + b"Expect: 100-continue, x\r\n" + HELLO, 417),
    refuses("RFC 9110 15.5.18", "another one in a field of its own", POST + EXPECT + b"Expect: x\r\n" + HELLO, 417),
    refuses("RFC 9110 10.1.1", "no 100 for a body above the limit", POST + EXPECT + b"Content-Length: 1001\r\n\r\n",
            413),
    refuses("RFC 9110 10.1.1", "no 100 for two lengths", POST + EXPECT + b"Content-Length: 5\r\n" + HELLO),
    refuses("RFC 9110 10.1.1", "no 100 without Host",
            b"POST / HTTP/1.1\r\n" + EXPECT + b"Content-Length: 5\r\n\r\n"),
]

METHODS = [
    *(answers_only("RFC 9110 15.5.6", f"{method.decode()} is not allowed",
                   method + b" " + PATH + b" HTTP/1.1\r\n" + FIELDS + EMPTY, 405)
      for method in [b"GET", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"OPTIONS", b"PROPFIND", b"SUBSCRIBE"]),
    answers_only("RFC 9110 9.3.2", "HEAD with a body of its own", GET.replace(b"GET", b"HEAD") + HELLO, 405),
    answers_only("RFC 9110 15.5.5", "HEAD of an unknown address", b"HEAD /none HTTP/1.1\r\nHost: gateway\r\n\r\n", 404),
    answers_only("RFC 9110 15.5.5", "GET of an unknown address", b"GET /none HTTP/1.1\r\nHost: gateway\r\n\r\n", 404),
    *(answers_only("RFC 9110 15.5.16", f"{kind.decode() or 'an empty Content-Type'} is not taken", b"POST " + PATH
                   + b" HTTP/1.1\r\nHost: gateway\r\nContent-Type: " + kind + b"\r\n" + HELLO, 415)
      for kind in [b"text/xml", b"application/soap", b"application/soap+xml2", b"", b"multipart/related",
                   b"text/plain; application/soap+xml"]),
    answers_only("RFC 9110 8.3", "no Content-Type", b"POST " + PATH + b" HTTP/1.1\r\nHost: gateway\r\n" + HELLO, 415),
    takes("RFC 9110 8.3.1", "types in any case, with parameters", b"POST " + PATH + b" HTTP/1.1\r\nHost: gateway\r\n"
          b'Content-Type: Application/SOAP+XML ; charset="utf-8"; action="x"\r\n' + HELLO, b"hello"),
]

CASES = PERSISTENCE + PIPELINES + UPGRADES + EXPECTATIONS + METHODS
