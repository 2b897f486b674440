"""Tests of http.requesttargets: path and host for each form of a request target, and refused targets."""

import pytest

from wsdgateway.http.requesttargets import BadTarget, path_of, resolve


@pytest.mark.parametrize(("target", "path", "host"), [
    (b"/a?b=c", b"/a", b"x"), (b"/", b"/", b"x"), (b"//a", b"//a", b"x"),
    (b"http://gateway:5357/a/b", b"/a/b", b"gateway:5357"), (b"HTTP://gateway", b"/", b"gateway"),
    (b"http://gateway?x", b"/", b"gateway"), (b"https://[::1]:1/a?x", b"/a", b"[::1]:1")])
def test_path_and_host(target, path, host):
    assert resolve(b"POST", target, [b"x"], False) == (path, host)
    assert path_of(target) == path


@pytest.mark.parametrize(("method", "target"), [(b"OPTIONS", b"*"), (b"CONNECT", b"a:1")])
def test_targets_of_options_and_connect(method, target):
    assert resolve(method, target, [b"x"], False) == (target, b"x")


@pytest.mark.parametrize(("method", "target"), [
    (b"POST", b"*"), (b"POST", b"/a#b"), (b"POST", b"a"), (b"POST", b""), (b"POST", b"ftp://a/"), (b"POST", b"http:///a"),
    (b"POST", b"http://a@b/"), (b"OPTIONS", b"*a")])
def test_targets_that_are_refused(method, target):
    with pytest.raises(BadTarget):
        resolve(method, target, [b"x"], False)


@pytest.mark.parametrize("host", [
    b"gateway", b"gateway:5357", b"192.0.2.1", b"[2001:db8::1]:80", b"[fe80::1%25eth0]", b""])
def test_one_host(host):
    assert resolve(b"POST", b"/", [host], False) == (b"/", host)


@pytest.mark.parametrize("target", [b"/", b"http://gateway/"])
@pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b"a b"], [b"a@b"], [b"a/b"], [b"[::1"]])
def test_hosts_that_are_refused(hosts, target):
    with pytest.raises(BadTarget):
        resolve(b"POST", target, hosts, False)


def test_http10_may_do_without_host():
    assert resolve(b"POST", b"/", [], True) == (b"/", b"")
