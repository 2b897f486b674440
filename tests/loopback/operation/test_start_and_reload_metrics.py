"""The log at the start, and the metrics of version, configuration and certificates, before and after a reload."""

import pytest
import pytest_twisted

from tests.certificates import Certified
from tests.loopback.gateways import LOOPBACK, File, section, tls_listener
from tests.waiting import until

RELOAD = "wsdgateway_config_last_reload_successful"
RELOADED_AT = "wsdgateway_config_last_reload_success_timestamp_seconds"
EXPIRY = "wsdgateway_certificate_expiry_timestamp_seconds"


def value(service, name, **labels):
    return service.metrics.registry.get_sample_value(name, labels)


def labels_of(service, name):
    return [sample.labels for family in service.metrics.registry.collect() for sample in family.samples
            if sample.name == name]


@pytest_twisted.ensureDeferred
async def test_the_lines_at_the_start_have_the_ports_that_are_open(file, said):
    service = await file.start(section("front-desk", "http://127.0.0.1:9/scan", 'events = "off"'))
    version = [labels["version"] for labels in labels_of(service, "wsdgateway_build_info")]
    assert [line for line in said if line.startswith(("wsdgateway ", "Clients: ", "Admin site: "))] == [
        f"wsdgateway {version[0]}, configuration: {file.path}, state: in memory only",
        f"Clients: http://127.0.0.1:{service.port}/front-desk/scan",
        f"Admin site: http://127.0.0.1:{service.admin_port}/"]


@pytest_twisted.ensureDeferred
async def test_a_reload_that_fails_is_counted_until_the_next_success(file):
    service = await file.start("")
    started = value(service, RELOADED_AT)
    assert value(service, RELOAD) == 1.0 and abs(started - service.wall()) < 3600
    await file.reload("[nonsense]\n")
    assert (value(service, RELOAD), value(service, RELOADED_AT)) == (0.0, started)
    await file.reload("[limits]\nconnections = 0\n")
    assert (value(service, RELOAD), value(service, RELOADED_AT)) == (0.0, started)
    service.wall = lambda: started + 100.0
    await file.reload("")
    assert (value(service, RELOAD), value(service, RELOADED_AT)) == (1.0, started + 100.0)


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_a_reload_that_breaks_off_has_failed(file, monkeypatch):
    service = await file.start("")
    monkeypatch.setattr(service.recording, "use", lambda config: 1 / 0)
    await file.reload("")
    assert value(service, RELOAD) == 0.0


@pytest_twisted.ensureDeferred
async def test_a_new_level_and_format_of_the_log_are_used_at_a_reload(file, said):
    given = []
    service = await file.start("")
    service.configure_log = given.append
    assert not service.recording.log.details
    file.path.write_text(f'[gateway]\nstate = "memory:"\nlog_level = "debug"\nlog_format = "json"\n[[listen]]\n'
                         f'endpoint = "{LOOPBACK}"\n[admin]\nendpoint = "{LOOPBACK}"\n')
    service.reload()
    await until(lambda: service.reloading is None)
    assert [(one.log_level, one.log_format) for one in given] == [("debug", "json")]
    assert service.recording.log.details
    assert not any("restart" in line for line in said)


class SecureFile(File):
    """Configuration whose listener and admin site have certificates."""

    def write(self, text):
        self.path.write_text(
            f'[gateway]\nstate = "memory:"\n[[listen]]\nendpoint = "tcp:0:interface=127.0.0.1:backlog=9"\n'
            'certificate = "server.pem"\nkey = "server.key"\n'
            f'[admin]\nendpoint = "ssl:0:interface=127.0.0.1:privateKey=admin.key:certKey=admin.pem"\n{text}')


def expiry_of(certified):
    return certified.certificate.not_valid_after_utc.timestamp()


@pytest_twisted.ensureDeferred
async def test_the_expiry_of_each_certificate_in_use(tmp_path, running):
    first, admin = Certified(tmp_path, "server", days=20), Certified(tmp_path, "admin", days=5)
    file = SecureFile(tmp_path / "g.toml", running)
    service = await file.start("")
    listener = {"endpoint": "tcp:0:interface=127.0.0.1:backlog=9"}
    assert value(service, EXPIRY, **listener) == expiry_of(first)
    assert value(service, EXPIRY, endpoint="tcp:port=0:interface=127.0.0.1") == expiry_of(admin)
    renewed = Certified(tmp_path, "server", days=90)
    assert value(service, EXPIRY, **listener) == expiry_of(first)  # the file alone changes nothing
    await file.reload("")
    assert value(service, EXPIRY, **listener) == expiry_of(renewed)


@pytest_twisted.ensureDeferred
async def test_two_certificates_at_equal_endpoints_are_one_series(tmp_path, gateway):
    later, sooner = Certified(tmp_path, "later", days=20), Certified(tmp_path, "sooner", days=5)
    service = await gateway(None, listen=[tls_listener(later)], admin=tls_listener(sooner))
    assert labels_of(service, EXPIRY) == [{"endpoint": LOOPBACK}]
    assert value(service, EXPIRY, endpoint=LOOPBACK) == expiry_of(sooner)


@pytest_twisted.ensureDeferred
async def test_without_tls_there_is_no_expiry(gateway):
    assert labels_of(await gateway(None), EXPIRY) == []
