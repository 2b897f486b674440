"""The URL of a Redis server."""

import pytest

from wsdgateway.storage.redis.address import MAX_HOSTS, parse, read_password
from wsdgateway.storage.store import StoreError


def parts(url, password=None):
    found = parse(url, password)
    return found.hosts, found.database, found.username, found.password, found.is_tls


@pytest.mark.parametrize(("url", "expected"), [
    ("redis://r1", ((("r1", 6379),), 0, None, None, False)),
    ("redis://r1/", ((("r1", 6379),), 0, None, None, False)),
    ("redis://192.0.2.1:7000/3", ((("192.0.2.1", 7000),), 3, None, None, False)),
    ("redis://[2001:db8::1]:7000/3", ((("2001:db8::1", 7000),), 3, None, None, False)),
    ("redis://:s%40c%2Fret@r1",
     ((("r1", 6379),), 0, None, "s@c/ret", False)),
    ("rediss://gateway:secret@r1", ((("r1", 6379),), 0, "gateway", "secret", True)),
    ("redis+sentinel://r1,r2:7,[::1]/gateways/2",
     ((("r1", 26379), ("r2", 7), ("::1", 26379)), 2, None, None, False)),
])
def test_urls(url, expected):
    assert parts(url) == expected


def test_other_parts():
    assert parse("redis+unix:///run/redis%20a.sock?db=2").path == "/run/redis a.sock"
    assert parse("redis+unix:///run/redis.sock?db=2").database == 2
    assert parse("redis+unix://:secret@/run/redis.sock").password == "secret"
    assert parse("redis+sentinel://r1/gateways").master_name == "gateways"
    assert parse("rediss://r1?ca=/etc/ca.pem").ca == "/etc/ca.pem"
    assert parse("rediss+sentinel://r1/gateways?ca=/etc/ca.pem").is_tls
    assert parse("redis://:old@r1", "new").password == "new"


def test_the_password_is_masked():
    found = parse("redis://gateway:secret@r1/0")
    assert found.text == "redis://…@r1/0"
    assert "secret" not in repr(found)


@pytest.mark.parametrize("url", [
    "redis:", "redis:r1", "http://r1", "redis://", "redis://r1:0", "redis://r1:65536", "redis://r1:x", "redis://r1/x",
    "redis://r1/0/1", "redis://r1/-1", "redis://r1/999999", "redis://r1,r2/0", "redis://r1?db=1", "redis://r1#x",
    "redis://[::1", "redis://a..b", "redis+unix://", "redis+unix:///", "redis+unix://host/path",
    "redis+unix:///s?db=x", "redis+sentinel://r1", "redis+sentinel://r1/", "redis+sentinel://r1/a/0/1",
    "redis+sentinel://r1,,r2/a", "redis+sentinel://" + ",".join(["r"] * (MAX_HOSTS + 1)) + "/a",
])
def test_refused(url):
    with pytest.raises(StoreError, match=r"must|HOST"):
        parse(url)


def test_errors_mask_the_password():
    with pytest.raises(StoreError) as refused:
        parse("redis://:secret@r1:x")
    assert "secret" not in str(refused.value)


def test_password_file(tmp_path):
    file = tmp_path / "password"
    for content, expected in ((b"s\xc3\xa9cret\n", "sécret"), (b"secret\r\nmore", "secret"), (b"secret", "secret")):
        file.write_bytes(content)
        assert read_password(file) == expected


@pytest.mark.parametrize("content", [None, b"", b"\nsecret", b"\xff", b"x" * 5000])
def test_password_files_refused(tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreError, match=r"gateway\.password_file"):
        read_password(file)
