"""Checks `[cluster]`, `[gateway] state` and `password_file` together, and completes what they leave out.

`certificate` and `key` are as in `[[listen]]`; the gateway presents the certificate also to the other gateways. `ca` is
the authority of their certificates. With it, a listener with TLS refuses gateways without such a certificate; the
secret, which is asked for in any case, is not enough then.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from wsdgateway.config.certificates import ReportMistake
from wsdgateway.config.checks import gateway_name, without_password
from wsdgateway.config.endpoints import Listening, identity_files, interface_of, is_ssl
from wsdgateway.config.redisurl import RedisUrl, is_redis, read_redis_url
from wsdgateway.config.secretfile import read_secret
from wsdgateway.config.sections import Cluster, Config, Gateway
from wsdgateway.config.wrong import Section, Wrong
from wsdgateway.tls.files import BadFile, read_certificates
from wsdgateway.tls.identity import BadIdentity, read_identity
from wsdgateway.tls.trust import Trust

_WILDCARDS = ("0.0.0.0", "::")
_PASSWORD = "a file with one line, the password of the Redis server"
_Problem = tuple[str, Any, str]


@attrs.frozen
class PeerListener:
    """`[cluster]` as a listener, whose clients are the other gateways."""

    endpoint: str
    certificate: str | None
    key: str | None
    client_ca: str | None = None


def peer_listener(cluster: Cluster) -> PeerListener | None:
    """Returns the listener of the peer link; None without `endpoint`."""
    if cluster.endpoint is None:
        return None
    return PeerListener(cluster.endpoint, cluster.certificate, cluster.key, cluster.ca if is_secure(cluster) else None)


def peer_trust(config: Config) -> Trust:
    """Returns how the other gateways are verified, and which certificate they are shown."""
    section, folder = config.cluster, config.folder
    listener = peer_listener(section)
    return Trust(None if section.ca is None else folder / section.ca,
                 own=None if listener is None else identity_files(listener, folder))


def is_secure(cluster: Cluster) -> bool:
    """True if the other gateways reach this one over TLS."""
    return cluster.certificate is not None or is_ssl(cluster.endpoint)


def read_password(path: Path) -> str:
    """Returns the password in the file of `password_file`. Raises `BadFile`, whose text completes "must be"."""
    line = read_secret(path, _PASSWORD)
    try:
        password = line.decode("utf-8")
    except UnicodeDecodeError:
        password = ""
    if not password or any(character in password for character in "\r\n\0"):
        raise BadFile(f"{_PASSWORD} ({path} has something else)")
    return password


def redis_of(config: Config) -> RedisUrl | None:
    """Returns the Redis server of a configuration, with its password; None without one. Raises `BadFile`.

    The password is that of the URL or of the file of `[gateway] password_file`.
    """
    if not is_redis(config.gateway.state):
        return None
    url = read_redis_url(config.gateway.state)
    if config.gateway.password_file is None:
        return url
    return attrs.evolve(url, password=read_password(config.folder / config.gateway.password_file))


def absolute_state(config: Config) -> str:
    """Returns `[gateway] state`; in the URL of a Redis server, the file of `ca` has its whole path."""
    state = config.gateway.state
    ca = read_redis_url(state).ca if is_redis(state) else None
    return state if ca is None else f"{state.partition('?')[0]}?ca={quote(str(config.folder / ca))}"


def name_in_cluster(config: Config) -> str:
    """Returns the name by which the other gateways know this one."""
    return config.gateway.name if config.cluster.name is None else config.cluster.name


def peer_address(cluster: Cluster, port: int, local: str) -> str:
    """Returns the URL at which the other gateways reach this one; empty without `endpoint`.

    `port` is that of the open listener. `local` is the address of this host on the route to Redis, which is used if
    the endpoint listens on every address.
    """
    if cluster.address is not None or cluster.endpoint is None:
        return cluster.address or ""
    interface = interface_of(cluster.endpoint) or ""
    host = local if interface in ("", *_WILDCARDS) else interface
    bracketed = f"[{host.replace('%', '%25')}]" if ":" in host else host
    return f"{'https' if is_secure(cluster) else 'http'}://{bracketed}:{port}"


def needs_route(cluster: Cluster) -> bool:
    """True if `peer_address` needs the local address of the route to Redis."""
    return cluster.address is None and cluster.endpoint is not None and (
        (interface_of(cluster.endpoint) or "") in ("", *_WILDCARDS))


def check_cluster(values: dict[str, Any], folder: Path, wrong: ReportMistake) -> None:
    """Checks the two sections; sections with other mistakes are left out."""
    gateway, cluster = values.get("gateway", Gateway()), values.get("cluster", Cluster())
    if isinstance(gateway, Gateway):
        for key, value, wanted in _gateway(gateway, folder):
            wrong(Section("[gateway]", ("gateway",)), key, value, wanted)
    if isinstance(cluster, Cluster):
        if isinstance(gateway, Gateway) and is_redis(gateway.state) and cluster.name is None:
            try:
                gateway_name(gateway.name)
            except Wrong as mistake:
                wrong(Section("[gateway]", ("gateway",)), "name", gateway.name,
                      f"{mistake}, since it is the gateway's name in the cluster; or give [cluster] name")
        for key, value, wanted in _cluster(cluster, folder):
            wrong(Section("[cluster]", ("cluster",)), key, value, wanted)


def _gateway(gateway: Gateway, folder: Path) -> Iterator[_Problem]:
    ca = read_redis_url(gateway.state).ca if is_redis(gateway.state) else None
    if ca is not None:
        try:
            read_certificates(folder / ca)
        except BadFile as bad:
            yield "state", without_password(gateway.state), f"a URL whose ca is {bad}"
    if gateway.password_file is None:
        return
    if not is_redis(gateway.state):
        yield "password_file", gateway.password_file, (
            "left out, because it is valid only with a state that names a Redis server")
    elif read_redis_url(gateway.state).password is not None:
        yield "password_file", gateway.password_file, "left out, because state has a password already"
    else:
        try:
            read_password(folder / gateway.password_file)
        except BadFile as bad:
            yield "password_file", gateway.password_file, str(bad)


def _cluster(cluster: Cluster, folder: Path) -> Iterator[_Problem]:
    if cluster.ca is not None:
        try:
            read_certificates(folder / cluster.ca)
        except BadFile as bad:
            yield "ca", cluster.ca, str(bad)
    listener = peer_listener(cluster)
    if listener is None:
        for key in ("address", "certificate", "key"):
            if getattr(cluster, key) is not None:
                yield key, getattr(cluster, key), (
                    "left out, because it is valid only together with endpoint, where the other gateways reach this "
                    "one")
        return
    if not listener.endpoint.startswith(("tcp", "ssl:")):
        yield "endpoint", cluster.endpoint, (
            "an endpoint that begins with tcp: or ssl:, because other hosts connect to it")
        return
    yield from _certified(cluster, listener, folder)
    if cluster.address is not None and cluster.address.startswith("https:") is not is_secure(cluster):
        yield "address", cluster.address, (
            "an https address, because endpoint has TLS" if is_secure(cluster) else
            "an http address, because endpoint has no TLS; or give certificate")


def _certified(cluster: Cluster, listener: Listening, folder: Path) -> Iterator[_Problem]:
    if is_ssl(listener.endpoint):
        for key in ("certificate", "key"):
            if getattr(cluster, key) is not None:
                yield key, getattr(cluster, key), "left out, because an ssl: endpoint names its files itself"
                return
    elif cluster.certificate is None:
        if cluster.key is not None:
            yield "key", cluster.key, (
                "left out, because it is valid only together with certificate, the file of this gateway's own "
                "certificate")
        return
    files = identity_files(listener, folder)
    assert files is not None
    try:
        read_identity(files)
    except BadIdentity as bad:
        if bad.key == "client_ca":
            return  # reported as `ca`
        if is_ssl(listener.endpoint):
            yield "endpoint", cluster.endpoint, str(bad)
        else:
            yield bad.key, getattr(cluster, bad.key) or cluster.certificate, str(bad)
