"""Tests of config.redisurl: the URLs of Redis servers, and what is said of wrong ones."""

import pytest
from hypothesis import given, strategies

from tests.config.configurations import LISTEN, problems
from wsdgateway.config import checks
from wsdgateway.config.checks import without_password
from wsdgateway.config.reading import make_config
from wsdgateway.config.redisurl import MAX_SENTINELS, RedisUrl, is_redis, read_redis_url
from wsdgateway.config.wrong import Wrong
from wsdgateway.storage.redis.address import parse


@pytest.mark.parametrize(("url", "read"), [
    ("redis://h", RedisUrl("redis", (("h", 6379),))),
    ("redis://h:6380/3", RedisUrl("redis", (("h", 6380),), database=3)),
    ("redis://192.0.2.5/", RedisUrl("redis", (("192.0.2.5", 6379),))),
    ("redis://[2001:db8::5]:6380/0", RedisUrl("redis", (("2001:db8::5", 6380),))),
    ("rediss://u:p%40ss@h", RedisUrl("rediss", (("h", 6379),), user="u", password="p@ss")),
    ("redis://:secret@h:6379/0", RedisUrl("redis", (("h", 6379),), password="secret")),
    ("redis+sentinel://h1:26379,h2:26380,h3/gateways/2", RedisUrl(
        "redis+sentinel", (("h1", 26379), ("h2", 26380), ("h3", 26379)), database=2, service="gateways")),
    ("redis+sentinel://u:p@h1,h2/gateways", RedisUrl(
        "redis+sentinel", (("h1", 26379), ("h2", 26379)), service="gateways", user="u", password="p")),
    ("rediss://h?ca=/etc/ca.pem", RedisUrl("rediss", (("h", 6379),), ca="/etc/ca.pem")),
    ("rediss+sentinel://h/gateways/1?ca=ca.pem", RedisUrl(
        "rediss+sentinel", (("h", 26379),), database=1, service="gateways", ca="ca.pem")),
    ("redis+unix:///run/redis.sock?db=2", RedisUrl("redis+unix", path="/run/redis.sock", database=2)),
    ("redis+unix:///run/redis/redis.sock", RedisUrl("redis+unix", path="/run/redis/redis.sock"))])
def test_a_url_is_read(url, read):
    assert read_redis_url(url) == read
    assert is_redis(url)
    assert checks.state(url) == url
    opened = parse(url)
    assert (opened.hosts, opened.path or "", opened.database, opened.master_name, opened.username, opened.password,
            opened.ca, opened.is_tls) == (read.hosts, read.path, read.database, read.service, read.user, read.password,
                                          read.ca, read.scheme.startswith("rediss"))


@pytest.mark.parametrize(("url", "wanted"), [
    ("redis:h", "redis://HOST:6379/0, rediss://"), ("redis://", "each HOST a name or an address"),
    ("redis://..", "each HOST a name or an address"), ("redis://a..b/0", "each HOST a name or an address"),
    ("redis+sentinel://h," + "x" * 64 + "/name", "each HOST a name or an address"),
    ("redis+cluster://h", "redis://HOST:6379/0, rediss://"), ("redis://h:0", "a port between 1 and 65535"),
    ("redis://h:70000", "a port between 1 and 65535"), ("redis://2001:db8::5", "an IPv6 address is in brackets"),
    ("redis://h/one", "the number of a database from 0 to 65535"), ("redis://h/0/1", "the number of a database"),
    ("redis://h/65536", "the number of a database"), ("redis://h1,h2/0", "several hosts are those of Sentinels"),
    ("redis://h?db=1", "must be written as %2F, %3F, %23 and %40"), ("redis://h/0#x", "must be written as %2F"),
    ("redis://h /0", "without blanks"), ("redis://h\n/0", "without blanks"),
    ("redis+sentinel://h1:26379", "the NAME by which the Sentinels know the master"),
    ("redis+sentinel://h1//0", "the NAME by which"), ("redis+sentinel://h1,/name", "each HOST a name or an address"),
    ("redis+sentinel://" + ",".join(["h"] * (MAX_SENTINELS + 1)) + "/name", "at most 16 hosts"),
    ("redis+unix://run/redis.sock", "redis+unix:///PATH"), ("redis+unix:///", "redis+unix:///PATH"),
    ("rediss://h?ca=", "must be written as %2F"), ("redis://h?ca=x", "must be written as %2F"),
    ("rediss://h?ca=x&db=1", "must be written as %2F"), ("redis+unix:///run/x?db=one", "the number of a database"),
    ("redis+unix:///run/x?ca=x", "redis+unix:///PATH"), ("redis+unix:///" + "x" * 107, "at most 107 bytes")])
def test_a_wrong_url_is_refused(url, wanted):
    with pytest.raises(Wrong) as wrong:
        read_redis_url(url)
    assert wanted in str(wrong.value)


@given(strategies.builds("".join, strategies.lists(strategies.sampled_from([
    "redis", "rediss", "+sentinel", "+unix", "://", "h", "..", ".", "-", "[::1]", ":", "6379", "/", "0", "name", ",",
    "@", "u:p@", "?ca=x", "?db=1", "%2F", "%", " ", "x" * 64]), min_size=3, max_size=9)))
def test_what_is_accepted_here_can_be_opened(url):
    try:
        read = read_redis_url(url)
    except Wrong:
        return
    assert parse(url).hosts == read.hosts


@pytest.mark.parametrize("url", [
    "redis://user:s3cr/et@h:6379/0", "redis://user:s3cr@et@h/x", "redis://s3cret@h", "redis://user:s3cr#et@h",
    "redis://user:s3cret@h:0/0", "redis://user:s3 cret@h/0", "redis+sentinel://:s3cret@h1,h2/", "redis://u:s3%ret@h"])
def test_no_part_of_a_password_is_shown(url):
    [line] = problems(gateway={"state": url})
    shown, _, wanted = line.partition(": must be ")
    assert shown.startswith('g.toml: [gateway] state = "redis') and "://…@h" in shown
    for text in (shown, wanted, str(without_password(url))):
        assert "s3" not in text and "et@" not in text


@pytest.mark.parametrize(("url", "expected"), [
    ("redis:u:s3cret@h/0", "redis:…@h/0"), ("redis:/u:s3cret@h/0", "redis:/…@h/0"), ("redis://:s3cret", "redis://:…"),
    ("redis://u:s3cret/0", "redis://u:…"), ("redis://h/0?password=s3cret", "redis://h/0?password=…"),
    ("rediss://h/0?ca=x&password=s3cret", "rediss://h/0?ca=x&password=…"), ("Redis://:s3@cret@h", "Redis://…@h"),
    ("redis+sentinel://h1:26379,h2:s3cret/n", "redis+sentinel://h1:26379,h2:…"),
    ("redis://[::1]:s3cret/0", "redis://[::1]:…"), ("redis://u@h:s3cret", "redis://…@h:…")])
def test_a_password_in_the_wrong_place_is_not_shown(url, expected):
    [line] = problems(gateway={"state": url})
    assert line.startswith(f'g.toml: [gateway] state = "{expected}": must be ') and line.count("s3") == 0


@pytest.mark.parametrize("state", [
    "redis://h", "redis://h:6379/0", "redis://:6379/0", "redis://[2001:db8::1]:7000/0", "redis+unix:///run/s?db=1",
    "rediss+sentinel://h:26379,[::1]:7,h/name/0?ca=a=b.pem", "sqlite:/srv/a@b?c=d.sqlite", "memory:"])
def test_a_state_without_a_password_is_shown_as_it_is(state):
    assert without_password(state) == state


def test_the_values_do_not_show_the_password():
    config = make_config({"listen": [LISTEN], "gateway": {"state": "redis://user:s3cret@h:6379/0"}}, "g.toml")
    assert "s3cret" not in repr(config) and "redis://…@h:6379/0" in repr(config)
    assert "s3cret" not in repr(read_redis_url(config.gateway.state))
