"""Tests of exchangelog.masking: secrets are masked in place, and nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.exchangelog.masking import Masks
from wsdgateway.http.layout import layout

BODY = (b'<w:CreateScanJobRequest xmlns:w="x"><w:DestinationToken a="1">s3cret</w:DestinationToken>'
        b"<w:JobOriginatingUserName>ann</w:JobOriginatingUserName><w:JobName>tax return</w:JobName>"
        b"<w:JobTokens>kept</w:JobTokens></w:CreateScanJobRequest>")
HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Basic QWxhZGRpbg==\r\n"


def sized(body):
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body, size):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_secrets_and_names_are_masked_in_place():
    raw = sized(BODY)
    masked = Masks().message(raw, request=True)
    assert len(masked) == len(raw)
    for secret in (b"s3cret", b"ann", b"tax return", b"QWxhZGRpbg"):
        assert secret not in masked
    assert b"kept" in masked and b"<w:JobName>xxxxxxxxxx</w:JobName>" in masked


def test_settings_leave_secrets_or_names_unmasked():
    raw = sized(BODY)
    assert Masks(secrets=True, identify=True).message(raw, request=True) == raw
    assert b"s3cret" not in Masks(identify=True).message(raw, request=True)
    assert b"ann" in Masks(identify=True).message(raw, request=True)


@pytest.mark.parametrize(("before", "after"), [
    (b"", b"\0"), (b"\0\r\n", b""), (b"\xef\xbb\xbf\r\n", b"\0\0\r\n"), (b"\r\n", b""), (b" ", b"x")])
@pytest.mark.parametrize("prolog", [b"", b"<?xml version='1.0' encoding='utf-8'?>"])
def test_bytes_around_a_document_do_not_affect_masking(before, after, prolog):
    covered = Masks().content(prolog + BODY)
    assert Masks().content(before + prolog + BODY + after) == before + covered + after


@given(st.integers(1, len(BODY)))
def test_secrets_split_into_chunks_are_masked(size):
    raw = chunked(BODY, size)
    masked = Masks().message(raw, request=True)
    assert len(masked) == len(raw)
    content = layout(masked, request=True).content(masked)
    assert content == Masks().content(BODY)
    assert b"s3cret" not in content


@pytest.mark.parametrize("body", [
    b"<JobToken><![CDATA[s3cret]]></JobToken>", b"<JobToken><!-- </x> -->s3cret</JobToken >", b"<a:JobToken\n>s3cret",
    b"<JobToken>\ns3cret\n</JobToken>", "<ü:JobToken>s3cret</ü:JobToken>".encode(),
    b"<wsse:Password Type='x'>s3cret</wsse:Password>", b"<a><JobToken><1>s3cret</1></JobToken></a>",
    b"<a><JobToken a='<'>s3cret</JobToken></a>", b"<JobToken a='/>'>s3cret</JobToken>",
    b"no xml, JobToken=s3cret",
    b"<JobToken><!--</JobToken>-->s3cret</JobToken>", b"<JobToken>&#115;3cret s3cret</JobToken>",
    b"<?xml version='1.0' encoding='utf-7'?><a>+ADw-JobToken+AD4-s3cret</a>",
    b"<b><JobToken/><JobToken>s3cret</JobToken></b>",
    "<?xml version='1.0' encoding='utf-16'?><JobToken>s3cret</JobToken>".encode("utf-16-le"),
    "<JobToken>s3cret</JobToken>".encode("utf-32-be"),
])
def test_all_spellings_of_a_token_are_masked(body):
    assert b"s3cret" not in Masks().content(body).replace(b"\0", b"")


@pytest.mark.parametrize("body", [
    b"<a>" + b"<JobToken>x</JobToken>" * 3000 + b"</a>", b"<JobToken " * 20000, b"&#" * 50000, b"<JobToken>" * 20000])
def test_masking_takes_linear_time(body):
    """Masking is fast even if the body is chunked to single bytes; it once blocked the process for minutes."""
    masked = Masks().message(chunked(body, 1), request=True)
    assert len(masked) == len(chunked(body, 1))


def test_secrets_outside_the_content_are_masked():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a/>JobToken s3cret"
    assert b"s3cret" not in Masks().message(raw, request=False)
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r<JobToken>s3cret</JobToken>"
    assert b"s3cret" not in Masks().message(raw, request=False)
    raw = chunked(b"<a/>", 2)[:-2] + b"Authorization: s3cret\r\n\r\n"
    assert b"s3cret" not in Masks().message(raw, request=True)


@pytest.mark.parametrize("kind", [b"application/octet-stream", b"application/pdf", b"image/jpeg",
                                  b"multipart/related; boundary=other"])
def test_the_content_type_does_not_prevent_masking(kind):
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n<JobToken>s3cret</JobToken>" % kind
    assert b"s3cret" not in Masks().message(raw, request=False)


@pytest.mark.parametrize("part", [b"--b\r\nX: y\r\n\r\n<JobToken>s3cret</JobToken>\r\n--b--",
                                  b"--b\r\n<JobToken>s3cret",
                                  b"<JobToken>s3cret</JobToken>\r\n--b\r\n\r\n<a/>\r\n--b--"])
def test_secrets_in_parts_are_masked(part):
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=b\r\n\r\n" + part
    masked = Masks().message(raw, request=False)
    assert b"s3cret" not in masked and len(masked) == len(raw)


def test_images_are_unchanged():
    image = b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)) * 100
    body = (b"--b\r\n\r\n<JobToken>s3cret</JobToken>\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n" + image
            + b"\r\n--b--\r\n")
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=b\r\n\r\n" + body
    assert Masks().message(raw, request=False) == raw.replace(b"s3cret", b"xxxxxx")


def test_a_folded_field_stays_folded():
    raw = b"POST / HTTP/1.1\r\nAuthorization: Basic\r\n s3cret\r\nHost: h\r\n\r\n"
    masked = Masks().message(raw, request=True)
    assert masked == b"POST / HTTP/1.1\r\nAuthorization: xxxxx\r\nxxxxxxx\r\nHost: h\r\n\r\n"


def test_the_address_for_notifications_is_masked():
    secret = b"AbCdEfGhIjKlMnOpQrStUvWxYz_-0123"
    raw = b"POST /front-desk/events/%s HTTP/1.1\r\nHost: h\r\n\r\n" % secret
    assert secret not in Masks().message(raw, request=True)
    assert secret not in Masks().content(b"<Address>http://h/front-desk/events/%s</Address>" % secret)
