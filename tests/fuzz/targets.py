"""All fuzz targets by name, with the tokens for their inputs."""

from collections.abc import Callable

import attrs
import escltargets
import pagetargets
import soaptargets
import texttargets
import wiretargets

_HTTP = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0",
    b"POST / HTTP/1.1\r\n", b"GET http://h?x HTTP/1.1\r\n", b"CONNECT h:1 HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.1 204 No\r\n",
    b"HTTP/1.1 304 No\r\n", b"Host: h\r\n", b"Host: [fe80::1%25eth0]:80\r\n", b"Content-Length: 5\r\n",
    b"X : y\r\n", b"POST  / HTTP/1.1\r\n", b"Content-Length: 5, 5\r\n",
    b"Content-Length: 0\r\n", b"content-length:+5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n",
    b"Content-Type: application/soap+xml\r\n", b"Authorization: Bearer x\r\n", b"X: y\r\n z\r\n", b"5\r\nhello\r\n",
    b"0\r\n\r\n", b"0\r\n", b"0\r\nT: x\r\n\r\n", b"1;e=1\r\n", b"ffffffffffffffff\r\n", b"hello",
)
_DNS = (
    b"\x06_uscan\x04_tcp\x05local\0", b"\x0aFront Desk", b"\xc0\x0c", b"\xc0\x13", b"\0", b"\0\x0c\0\x01",
    b"\0\x0c\x80\x01",
    b"\0\xff\0\x01", b"\0\x10\x80\x01", b"\0\x21\x80\x01", b"\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\0\x02\x4d",
    b"\0\0\x11\x94", b"\0\0\0\0", b"\x84\0", b"\x02\0", b"\0\x01\0\0\0\0\0\0", b"\x06uuid=1",
)
_IMAGE = (
    b"\xff\xd8", b"\xff\xd9", b"\xff\xff", b"\xff\x01", b"\xff\xd0", b"\xff\xe0\0\x10JFIF\0", b"\xff\xe1\xff\xff",
    b"\xff\xe0\0\0", b"\xff\xc0\0\x11\x08\0\x10\0\x10\x03", b"\xff\xc2\0\x0b\x08\xff\xff\0\x10\x01", b"\xff\xc4\0\x02",
    b"\xff\xda", b"\xff\xdc\0\x04\0\x20", b"\xff\xdc\0\x04\0\0", b"\xff\xdc\0\x04\xff\xff", b"\x89PNG\r\n\x1a\n",
    b"\0\0\0\rIHDR", b"IDAT", b"IEND", b"II*\0", b"MM\0*", b"BM", b"\x08\0\0\0", b"\xff\xff\xff\xff", b"%PDF-1.7",
)
_MIME = (
    b"\r\n--boundary\r\n", b"\r\n--boundary--", b"--boundary", b"x--boundary--",
    b"x--boundary\r\nContent-Type: a/b\r\n\r\n", b"\n--boundary\n", b"--", b"\r\n\r\n", b"\n\n",
    b"\r\n", b"Content-Type: multipart/related; boundary=boundary\r\n", b'; boundary="',
    b"Content-Type: image/jpeg\r\n\r\n", b"\xff\xd8\xff\xe0\0\x10JFIF",
    b"<image left out: 5 bytes, SHA-256 " + b"0" * 64 + b">", b"\r\n<end of capture, without transfer coding>\r\n",
    b"x" * 4200,
)
_XML = (
    b"<", b">", b"/>", b"</", b"&", b"&#13;", b"&#10;", b"&#x9;", b"&lt;", b"&amp;", b'"', b"'", b"=", b":", b" ",
    b"\r\n", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?pi x?>", b"<!DOCTYPE a [<!ENTITY e 'x'>]>", b"&e;",
    b'<?xml version="1.0"?>', b' encoding="utf-16"', b' encoding="iso-8859-1"', b' encoding="ASCII"',
    b' encoding="utf-7"', b"\xef\xbb\xbf", b"\xff\xfe", b"\0",
    b"\xfe\xff", b"\0\0", b"\0<\0", b"<\0", b"<\0\0\0", b"\xc2\xa0", b"\xe2\x80\xa8", b' xmlns=""',
    b' xmlns="urn:x"', b' xmlns:wsa="urn:y"', b' xmlns:x="a b%"', b' xmlns:x="http://www.w3.org/XML/1998/namespace"',
    b' xmlns:gateway="urn:z"', b' soap:mustUnderstand="1"', b' Valid="false"', b"<a>", b"</a>", b"<x:a/>",
)
_SOAP = (
    b"<soap:Header>", b"</soap:Header>", b"<soap:Body>", b"</soap:Body>", b"</soap:Envelope>", b"<wsa:To>",
    b"</wsa:To>", b"<wsa:Action>", b"</wsa:Action>", b"<wsa:MessageID>1</wsa:MessageID>",
    b"<wsa:RelatesTo>1</wsa:RelatesTo>", b"<wsa:ReplyTo>", b"</wsa:ReplyTo>", b"<wsa:FaultTo/>", b"<wsa:Address>",
    b"</wsa:Address>", b"<wsa:ReferenceParameters>", b"</wsa:ReferenceParameters>",
    b"<wse:Identifier>1</wse:Identifier>", b"<wse:Expires>PT1H</wse:Expires>", b"PT1H", b"2026-11-22T10:00:00Z",
    b"http://gateway.test:5357/front-desk", b"http://198.51.100.20/", b"http://[",
    b"urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", b"http://schemas.microsoft.com/windows/2006/08/wdp/scan/",
    b"http://schemas.xmlsoap.org/ws/2005/04/discovery/",
)
_UNCLEAN = (
    b"&", b"&nbsp;", b"&#0;", b"&#xFFFF;", b"\xfc", b"\x80\x81", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\x01",
    b"<km:x/>", b"<km:", b" km:y='1'", b" xmlns:km=''", b"<xmlns:a/>", b"<xml:a/>", b"<!DOC\x01TYPE a>",
    b"<\x01!DOCTYPE a [<!ENTITY e 'x'>]>", b"<?\x01xml version='1.0'?>",
)
_SCAN = (
    b"<wscn:JobId>1</wscn:JobId>", b"<wscn:JobState>Completed</wscn:JobState>", b"Completed", b"Processing",
    b"Terminating", b"Canceled", b"Aborted", b"Pending", b"<wscn:ScansCompleted>3</wscn:ScansCompleted>",
    b"<wscn:JobCreatedTime>2026-11-22T10:00:00Z</wscn:JobCreatedTime>",
    b"<wscn:JobCreatedTime>0001-01-01T00:00:00+23:59</wscn:JobCreatedTime>", b"999999999", b"-1", "٣".encode(),
    "²".encode(), b"<wscn:JobToken>t0ken-secret</wscn:JobToken>",
    b"<wscn:DestinationToken>d3st</wscn:DestinationToken>", b"<v:Extra xmlns:v='urn:v'/>", b"JobStatusEvent",
    b"JobEndStateEvent", b"GetJobElements", b"CancelJob", b"CreateScanJob", b"Response",
)
_ESCL = (
    b"<pwg:InputSource>Feeder</pwg:InputSource>", b"<scan:Duplex>true</scan:Duplex>", b"<pwg:ScanRegions>",
    b"<pwg:ScanRegions MustHonor='true'><pwg:ScanRegion><pwg:Width>2550</pwg:Width></pwg:ScanRegion></pwg:ScanRegions>",
    b"<pwg:XOffset>2549</pwg:XOffset>", b"<scan:ColorMode>RGB48</scan:ColorMode>", b"AutoColorDetection", b"image/png",
    b"<scan:XResolution>300</scan:XResolution>", b"<scan:CompressionFactor>-1</scan:CompressionFactor>", b"999999999",
    b"1.5", "\u0663".encode(), "\u00b2".encode(), b"escl:", b"scan:", b"<scan:MaxWidth>2550</scan:MaxWidth>",
    b"<scan:SettingProfile ref='p'/>", b"<scan:SettingProfile name='p'>", b"<scan:JobInfo>", b"</scan:JobInfo>",
    b"/ScanJobs/", b"/NextDocument", b"GET ", b"DELETE ", b"POST ", b"/",
)
_TOML = (
    b"\n", b"=", b"[", b"]", b"[[", b"]]", b"[[listen]]\n", b"[[scanner]]\n", b"[gateway]\n", b"[admin]\n",
    b"[events]\n", b"[discovery]\n", b"[limits]\n", b"[exchange_log]\n", b"[cache]\n", b'endpoint = "',
    b'name = "a"\n', b'scan = "http://', b'device = "', b'uuid = "urn:uuid:', b'"tcp:5357:interface=', b"127.0.0.01",
    b"\\\\:", b"fe80::1%eth0", b'"', b"'", b'"""', b"#", b"true", b"nan", b"inf", b"-1", b"1e400", b"9" * 40, b"0x",
    b"1979-05-27", b"07:32:00", b"\\u009b", b"\\n", b"\\u0000", b"{", b"}", b",", b".", b"a.a.a.a",
    b"event_sources = [\"", b"/24\"]\n", b"interface=", b"unix:", b"ssl:", b"systemd:", b"exclude = [", b"suffix = ",
    b"token = ", b"\xff",
)
_URL = (
    b"http://", b"https://", b"HTTP://", b"198.51.100.20", b"[fe80::1%25eth0]", b"[::ffff:127.0.0.1]", b"]", b"[",
    b":80", b":0", b":65536", b":", b"/", b"?", b"#", b"@", b"%", b"%0d%0a", b" ", b"\t", b"\r\n", b"\0", b"\x0b",
    b"\xc2\x85", "ä".encode(), "。".encode(), "①".encode(), b".", b"..", b"xn--", b"a" * 64,
)
_TIME = (
    b"P", b"T", b"1Y", b"2M", b"3D", b"4H", b"5M", b"6.5S", b"-", b"999999999", b"0001-01-01", b"9999-12-31",
    b"T00:00:00", b"+23:59", b"-23:59", b"Z", b".123456789", b"24:00", b"W01", b"\n", "٣".encode(),
)
_ADMIN = (
    b"\n", b"localhost", b"print-server", b"127.0.0.1", b"[::1]", b":80", b"Bearer ", b"bearer", b"Basic ", b"\xff",
    b"%", b"%25lo", b"::ffff:127.0.0.1",
)


@attrs.frozen
class Target:
    """A function of bytes that raises only if a guarantee is broken, and the tokens that its inputs may contain."""

    run: Callable[[bytes], None]
    tokens: tuple[bytes, ...]


TARGETS = {
    "http_requests": Target(wiretargets.http_requests, _HTTP),
    "http_answers": Target(wiretargets.http_answers, _HTTP),
    "http_answers_lenient": Target(wiretargets.http_answers_lenient, _HTTP),
    "dns_messages": Target(wiretargets.dns_messages, _DNS),
    "multipart": Target(wiretargets.multipart, _MIME),
    "masking": Target(wiretargets.masking, _HTTP + _MIME + _XML + _SCAN),
    "captures": Target(wiretargets.captures, (*_HTTP, *_MIME, *_SOAP, *_SCAN, b"\n%%\n", "²²²".encode("latin-1"))),
    "sieve": Target(wiretargets.sieve, _HTTP + _MIME),
    "envelope": Target(soaptargets.envelope, _XML + _SOAP),
    "scanner_answers": Target(soaptargets.scanner_answers, _XML + _SOAP + _SCAN + _UNCLEAN),
    "requests": Target(soaptargets.requests, _XML + _SOAP + _SCAN),
    "job_events": Target(soaptargets.job_events, _XML + _SOAP + _SCAN),
    "scanner_elements": Target(soaptargets.scanner_elements, _XML + _SCAN),
    "metadata": Target(soaptargets.metadata, _XML + _SOAP),
    "granted": Target(soaptargets.granted, _XML + _SOAP + _SCAN),
    "discovery": Target(soaptargets.discovery, _XML + _SOAP),
    "escl_settings": Target(escltargets.escl_settings, _XML + _ESCL),
    "escl_documents": Target(escltargets.escl_documents, _XML + _ESCL),
    "escl_requests": Target(escltargets.escl_requests, _ESCL),
    "jpeg_frames": Target(pagetargets.jpeg_frames, _IMAGE),
    "images": Target(pagetargets.images, _MIME + _IMAGE),
    "page_sizes": Target(pagetargets.page_sizes, _IMAGE),
    "configuration": Target(texttargets.configuration, _TOML),
    "addresses": Target(texttargets.addresses, _URL),
    "times": Target(texttargets.times, _TIME),
    "admin_access": Target(texttargets.admin_access, _ADMIN),
}
