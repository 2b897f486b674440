"""Cases of RFC 9112 sections 2, 3 and 5: request lines, request targets, Host and field lines."""

from tests.net.server.http_cases import EMPTY, FIELDS, HELLO, OLD, PATH, POST, answers_only, refuses, takes, takes_last

TYPE = b"Content-Type: application/soap+xml\r\n"
HOSTLESS = b"POST " + PATH + b" HTTP/1.1\r\n" + TYPE
VERSIONS = [b"HTTP/1.01", b"HTTP/01.1", b"HTTP/11", b"HTTP/1", b"HTTP/1,1", b"HTTP/1.", b"HTTP/.1", b"HTTP/ 1.1",
            b"http/1.1", b"HTTPS/1.1", b"HTTP-1.1", b"HTTP/1.1x", b"HTTP/1.1 x", b"HTTP/a.b", b"XTP/1.1"]


def line(target, method=b"POST", version=b"HTTP/1.1"):
    """Returns a request with another request line."""
    return method + b" " + target + b" " + version + b"\r\n" + FIELDS + EMPTY


LINES = [
    takes("RFC 9112 2.2", "an empty line before a request", b"\r\n" + POST + HELLO, b"hello"),
    takes("RFC 9112 2.2", "several of them", b"\r\n" * 9 + POST + HELLO, b"hello"),
    takes("RFC 9112 2.2", "bare LFs before a request", b"\n\n" + POST + HELLO, b"hello"),
    refuses("RFC 9112 2.2", "blanks before a request", b" " + POST + HELLO),
    refuses("RFC 9112 2.2", "a blank before the first field", b"POST / HTTP/1.1\r\n " + FIELDS + EMPTY),
    refuses("RFC 9112 2.2", "a tab before the first field", b"POST / HTTP/1.1\r\n\t" + FIELDS + EMPTY),
    refuses("RFC 9112 2.2", "bare LFs all through", (POST + HELLO).replace(b"\r\n", b"\n")),
    refuses("RFC 9112 2.2", "a bare LF after the request line", POST.replace(b"\r\n", b"\n", 1) + HELLO),
    refuses("RFC 9112 2.2", "a bare CR after the request line", POST.replace(b"\r\n", b"\r", 1) + HELLO),
    refuses("RFC 9112 2.2", "a bare LF after a field", POST + b"X: y\nContent-Length: 5\r\n\r\nhello"),
    refuses("RFC 9112 2.2", "a bare CR in a field", POST + b"X: y\rz\r\n" + HELLO),
    refuses("RFC 9112 2.2", "a bare LF as the empty line", POST + b"Content-Length: 5\r\n\nhello"),
    refuses("RFC 9112 2.2", "two CRs before a LF", POST + b"X: y\r\r\n" + HELLO),
    refuses("RFC 9112 2.2", "another protocol: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)),
    refuses("RFC 9112 2.2", "another protocol: HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refuses("RFC 9112 2.2", "another protocol: an answer", b"HTTP/1.1 200 OK\r\n" + EMPTY),
    *(refuses("RFC 9112 3", f"{name} in the request line (MAY be taken)", request_line + FIELDS + HELLO)
      for name, request_line in [
          ("two blanks before the target", b"POST  " + PATH + b" HTTP/1.1\r\n"),
          ("two blanks behind the target", b"POST " + PATH + b"  HTTP/1.1\r\n"),
          ("many blanks", b"POST    " + PATH + b"     HTTP/1.1\r\n"),
          ("a blank and a tab", b"POST \t" + PATH + b" HTTP/1.1\r\n"),
          ("two blanks before an absolute target", b"POST  http://gateway" + PATH + b" HTTP/1.1\r\n"),
          ("two blanks of HTTP/1.0", b"POST  " + PATH + b" HTTP/1.0\r\n")]),
    refuses("RFC 9112 3", "a tab in the request line", line(PATH, b"POST\t")),
    refuses("RFC 9112 3", "a blank after the request line", line(PATH, version=b"HTTP/1.1 ")),
    refuses("RFC 9112 3", "a blank in the target", line(b"/front-desk /scan")),
    refuses("RFC 9112 3", "no target", b"POST HTTP/1.1\r\n" + FIELDS + EMPTY),
    refuses("RFC 9112 3", "a target above the limit", line(b"/" + b"x" * 20000), 431),
    refuses("RFC 9112 2.3", "HTTP/0.9 without a version", b"GET /front-desk/scan\r\n\r\n"),
    refuses("RFC 9112 2.3", "HTTP/0.9 by its number", line(PATH, version=b"HTTP/0.9")),
    refuses("RFC 9110 15.6.6", "HTTP/2.0", line(PATH, version=b"HTTP/2.0"), 505),
    refuses("RFC 9112 2.3", "an unknown minor version", line(PATH, version=b"HTTP/1.2")),
    refuses("RFC 9112 2.3", "another major version", line(PATH, version=b"HTTP/3.0")),
    *(refuses("RFC 9112 2.3", f"{version.decode()} is no version", line(PATH, version=version))
      for version in VERSIONS),
    answers_only("RFC 9110 9.1", "a method that is not allowed here", line(PATH, b"PUT"), 405),
    *(refuses("RFC 9110 9.1", f"{name} is no method that is known", line(PATH, method)) for name, method in [
        ("post", b"post"), ("Post", b"Post"), ("BREW", b"BREW"), ("POSTS", b"POSTS"), ("P(ST", b"P(ST"),
        ("nothing", b"")]),
]

TARGETS = [
    takes("RFC 9112 3.2.1", "a query is not part of the path", line(PATH + b"?a=b?c")),
    takes("RFC 9112 3.2.1", "an empty query", line(PATH + b"?")),
    answers_only("RFC 9112 3.2.1", "an unknown path", line(b"/none"), 404),
    answers_only("RFC 9112 3.2.1", "two slashes are not one", line(b"/" + PATH), 404),
    answers_only("RFC 9112 3.2.1", "dots are not resolved", line(b"/x/.." + PATH), 404),
    answers_only("RFC 9112 3.2.1", "paths are told apart by case", line(PATH.upper()), 404),
    takes("RFC 9112 3.2.2", "an absolute target", line(b"http://gateway:5357" + PATH)),
    takes("RFC 9112 3.2.2", "an absolute target that Host contradicts", line(b"http://other" + PATH)),
    takes("RFC 9112 3.2.2", "an absolute target with IPv6", line(b"http://[2001:db8::1]:5357" + PATH + b"?a")),
    takes("RFC 9110 4.2.3", "a scheme in capitals", line(b"HTTP://gateway" + PATH)),
    answers_only("RFC 9110 4.2.3", "no path is the root", line(b"http://gateway"), 400),
    answers_only("RFC 9110 4.2.3", "no path but a query is the root", line(b"http://gateway?a"), 400),
    refuses("RFC 9110 4.2.1", "an absolute target without a host", line(b"http://" + PATH)),
    refuses("RFC 9110 4.2.1", "an absolute target with a port alone", line(b"http://:80" + PATH)),
    refuses("RFC 9110 4.2.4", "an absolute target with a user", line(b"http://user@gateway" + PATH)),
    refuses("RFC 9112 3.2.2", "an invalid host", line(b"http://[gateway]" + PATH)),
    refuses("RFC 9112 3.2.2", "an invalid port", line(b"http://gateway:x" + PATH)),
    refuses("RFC 9112 3.2.2", "another scheme", line(b"ftp://gateway" + PATH)),
    refuses("RFC 9112 3.2.2", "a scheme alone", line(b"http:" + PATH)),
    refuses("RFC 9112 3.2", "a fragment", line(PATH + b"#part")),
    refuses("RFC 9112 3.2", "a fragment of an absolute target", line(b"http://gateway" + PATH + b"#part")),
    refuses("RFC 9112 3.2", "a path without its slash", line(b"front-desk/scan")),
    refuses("RFC 9112 3.2", "a query alone", line(b"?a")),
    refuses("RFC 9112 3.2.3", "an authority is for CONNECT", line(b"gateway:5357")),
    answers_only("RFC 9110 9.3.6", "CONNECT is no tunnel, and the last request", line(b"gateway:5357", b"CONNECT"), 404,
                 goes_on=False),
    answers_only("RFC 9112 3.2.4", "OPTIONS for the server as a whole", line(b"*", b"OPTIONS"), 404),
    answers_only("RFC 9110 9.3.7", "OPTIONS for an address", line(PATH, b"OPTIONS"), 405),
    refuses("RFC 9112 3.2.4", "an asterisk is for OPTIONS", line(b"*")),
    refuses("RFC 9112 3.2.4", "an asterisk and more", line(b"*/front-desk", b"OPTIONS")),
    *(refuses("RFC 9112 3.2", f"a target with {name}", line(PATH + byte)) for name, byte in [
        ("a NUL", b"\x00"), ("a control character", b"\x01"), ("a delete", b"\x7f"), ("a byte over 127", b"\xe9")]),
]

HOSTS = [
    refuses("RFC 9112 3.2", "no Host", HOSTLESS + EMPTY),
    refuses("RFC 9112 3.2", "two Hosts", HOSTLESS + b"Host: a\r\nHost: b\r\n" + EMPTY),
    refuses("RFC 9112 3.2", "twice the same Host", HOSTLESS + b"Host: a\r\nhost: a\r\n" + EMPTY),
    refuses("RFC 9112 3.2", "one Host and an empty one", HOSTLESS + b"Host: a\r\nHost:\r\n" + EMPTY),
    refuses("RFC 9112 3.2", "no Host beside an absolute target",
            b"POST http://gateway" + PATH + b" HTTP/1.1\r\n" + TYPE + EMPTY),
    takes("RFC 9112 3.2", "an empty Host", HOSTLESS + b"Host:\r\n" + EMPTY),
    takes_last("RFC 9112 3.2", "HTTP/1.0 without Host", OLD + EMPTY),
    refuses("RFC 9112 3.2", "HTTP/1.0 with two", OLD + b"Host: a\r\nHost: b\r\n" + EMPTY),
    *(takes("RFC 9110 7.2", f"{host.decode()} is a host", HOSTLESS + b"Host: " + host + b"\r\n" + EMPTY) for host in [
        b"gateway:5357", b"192.0.2.5", b"[2001:db8::1]:5357", b"[fe80::1%25eth0]", b"[fe80::1%eth0]", b"[v1.x:y]",
        b"print_server-1.example.", b"a%20b", b"gateway:"]),
    *(refuses("RFC 9112 3.2", f"{host!r} is no host", HOSTLESS + b"Host: " + host + b"\r\n" + EMPTY) for host in [
        b"a b", b"a\tb", b"a, b", b"a/b", b"a?b", b"a#b", b"user@a", b"http://a", b"a:b", b"a:80:80", b"a:-1",
        b"2001:db8::1", b"[2001:db8::1", b"[]", b"[a]", b"[::1]a", b"[::1%]", b"a%", b"a%2", b"a%zz", b'"a"', b"<a>",
        b"a\\b", b"a|b", b"\xc3\xa9"]),
    refuses("RFC 9112 3.2", "an almost valid host of sixteen kilobytes",
            HOSTLESS + b"Host: [" + b":" * 16000 + b"\r\n" + EMPTY),
]

FIELD_LINES = [
    takes("RFC 9112 5", "no blank after the colon", POST + b"X:y\r\n" + HELLO, b"hello"),
    takes("RFC 9112 5", "blanks around a value", POST + b"X: \t y \t\r\n" + HELLO, b"hello"),
    takes("RFC 9110 5.5", "an empty value", POST + b"X:\r\n" + HELLO, b"hello"),
    takes("RFC 9110 5.5", "bytes over 127 in a value", POST + b"X: \x80\xff\r\n" + HELLO, b"hello"),
    takes("RFC 9110 5.6.2", "every character of a token in a name", POST + b"!#$%&'*+-.^_`|~09: y\r\n" + HELLO,
          b"hello"),
    takes("RFC 9110 5.3", "a field that stands there twice", POST + b"X: a\r\nX: b\r\n" + HELLO, b"hello"),
    refuses("RFC 9112 5.1", "a blank before the colon", POST + b"X : y\r\n" + HELLO),
    refuses("RFC 9112 5.1", "a tab before the colon", POST + b"X\t: y\r\n" + HELLO),
    refuses("RFC 9112 5.2", "a folded line", POST + b"X: y\r\n z\r\n" + HELLO),
    refuses("RFC 9112 5.2", "a line folded with a tab", POST + b"X: y\r\n\tz\r\n" + HELLO),
    refuses("RFC 9112 5.2", "a line folded with nothing on it", POST + b"X: y\r\n \r\n" + HELLO),
    refuses("RFC 9112 5", "no colon", POST + b"X\r\n" + HELLO),
    refuses("RFC 9112 5", "no name", POST + b": y\r\n" + HELLO),
    *(refuses("RFC 9110 5.6.2", f"a name with {name}", POST + byte + b": y\r\n" + HELLO) for name, byte in [
        ("a blank", b"X Y"), ("a bracket", b"X(Y"), ("a quote", b'"X"'), ("a slash", b"X/Y"), ("a NUL", b"X\x00"),
        ("a byte over 127", b"X\x80"), ("a delete", b"X\x7f")]),
    *(refuses("RFC 9110 5.5", f"a value with {name}", POST + b"X: y" + byte + b"z\r\n" + HELLO) for name, byte in [
        ("a NUL", b"\x00"), ("a control character", b"\x01"), ("a vertical tab", b"\x0b"), ("a delete", b"\x7f")]),
    refuses("RFC 6585 5", "a field longer than a head may be", POST + b"X: " + b"x" * 17000 + b"\r\n" + HELLO, 431),
    refuses("RFC 6585 5", "a name longer than a head may be", POST + b"X" * 17000 + b": y\r\n" + HELLO, 431),
    refuses("RFC 6585 5", "more fields than there may be", POST + b"X: y\r\n" * 100 + HELLO, 431),
    refuses("RFC 6585 5", "a head that does not end", POST + b"X: " + b"x" * 40000, 431),
    refuses("RFC 9110 5.4", "more trailers than a head may have",
            POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 4000 + b"\r\n", 431),
]

CASES = LINES + TARGETS + HOSTS + FIELD_LINES
