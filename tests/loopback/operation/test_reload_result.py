"""The result of a reload: POST /api/reload of the admin site, the control socket, and `wsdgateway reload`."""

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.loopback.clients import request
from tests.loopback.gateways import TOKEN, File, section
from wsdgateway.app.service import GatewayService
from wsdgateway.cli.main import main
from wsdgateway.config.reading import read_config

RELOAD = b"/api/reload"
NONE = "0 scanner(s) added, 0 replaced, 0 removed; changed sections: none"


async def post(service, headers=b""):
    status, _, body = await request(service.admin_port, RELOAD, method=b"POST", headers=headers)
    return status, body.decode()


@pytest.fixture
def run(capsys):
    """Runs the subcommand in a thread; returns its exit status, and what it wrote to stdout and stderr."""

    async def run(*arguments):
        status = await deferToThread(main, ["reload", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def site_of(service):
    return f"http://127.0.0.1:{service.admin_port}"


@pytest_twisted.ensureDeferred
async def test_the_admin_site_answers_with_the_summary_and_the_warnings(file):
    service = await file.start("")
    assert await post(service) == (200, f"{file.path} reloaded: {NONE}\n")
    file.write(section("a", "http://127.0.0.1:9/x", 'events = "off"\nescl_port = 9999'))
    status, text = await post(service)
    first, second = text.splitlines()
    assert status == 200 and first.startswith(f"{file.path} reloaded: 1 scanner(s) added, 0 replaced, ")
    assert second.startswith("warning: [[scanner]] a: escl_port has no effect ")


@pytest_twisted.ensureDeferred
async def test_the_admin_site_answers_with_every_mistake_and_its_line(file):
    service = await file.start("")
    file.write("[cache]\nmax_age = 0\n[nonsense]\n")
    status, text = await post(service)
    first, second = text.splitlines()
    assert status == 422
    assert first.startswith(f"{file.path}:8: [cache] max_age = 0: must be ")
    assert second.startswith(f"{file.path}:9: [nonsense]: unknown section; ")


@pytest_twisted.ensureDeferred
async def test_reading_and_pages_of_other_sites_cause_no_reload(file):
    service = await file.start("")
    file.write("[nonsense]\n")
    status, head, _ = await request(service.admin_port, RELOAD)
    assert status == 405 and b"\r\nAllow: POST\r\n" in head
    for header in (b"Origin: http://scan.example.org\r\n", b"Sec-Fetch-Site: cross-site\r\n"):
        assert (await post(service, header))[0] == 403
    assert (await request(service.admin_port, b"/api/reload/x", method=b"POST"))[0] == 404
    assert service.metrics.registry.get_sample_value("wsdgateway_config_last_reload_successful") == 1.0


@pytest_twisted.ensureDeferred
async def test_a_gateway_without_a_file_cannot_reload(gateway):
    service = await gateway(None)
    service.config = service.config.__class__(folder=service.config.folder, listen=service.config.listen)
    assert await post(service) == (409, "the gateway runs without a configuration file\n")


@pytest_twisted.ensureDeferred
async def test_the_command_waits_for_the_result(file, run):
    service = await file.start("")
    assert await run(site_of(service)) == (0, f"{file.path} reloaded: {NONE}\n", "")
    file.write("[cache]\nmax_age = 0\n[nonsense]\n")
    status, out, errors = await run(site_of(service))
    assert (status, out) == (2, "")
    assert [line.partition(": ")[0] for line in errors.splitlines()] == [f"{file.path}:8", f"{file.path}:9"]


@pytest_twisted.ensureDeferred
async def test_the_command_needs_access_to_the_admin_site(file, run, monkeypatch):
    monkeypatch.delenv("WSDGATEWAY_TOKEN", raising=False)
    service = await file.start("")
    await file.reload("")
    service.site.access.change(TOKEN, ())
    status, out, errors = await run(site_of(service))
    assert (status, out) == (2, "")
    assert errors == (f"wsdgateway reload: {site_of(service)}/api/reload: a token is required; set WSDGATEWAY_TOKEN to "
                      "[admin] token\n")
    monkeypatch.setenv("WSDGATEWAY_TOKEN", TOKEN)
    assert (await run(site_of(service)))[0] == 0
    port = service.admin_port
    await service.stopService()
    status, _, errors = await run(f"http://127.0.0.1:{port}")
    assert status == 2
    assert errors.startswith(f"wsdgateway reload: http://127.0.0.1:{port}/api/reload: Connection refused; is the "
                             "gateway running? ")


class ServiceFile(File):
    """Configuration of a gateway that is started as systemd does."""

    async def start(self, text, **environment):
        from twisted.internet import reactor

        self.write(text)
        self.service = GatewayService(reactor, read_config(str(self.path)), environment=environment)
        await self._running(self.service)
        await gatherResults([listener.opened for listener in (*self.service.listeners, self.service.admin)])
        return self.service


@pytest.fixture
def service_file(tmp_path, running):
    return ServiceFile(tmp_path / "g.toml", running)


@pytest_twisted.ensureDeferred
async def test_in_a_service_the_command_needs_no_address_and_no_token(service_file, run, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("WSDGATEWAY_TOKEN", raising=False)
    (tmp_path / "control.sock").touch()  # left by a gateway that was killed
    service = await service_file.start(f'token = "{TOKEN}"\n', RUNTIME_DIRECTORY=str(tmp_path))
    assert oct((tmp_path / "control.sock").stat().st_mode & 0o777) == "0o600"
    assert await run() == (0, f"{service_file.path} reloaded: {NONE}\n", "")
    service_file.write("[nonsense]\n")
    status, out, errors = await run()
    assert (status, out) == (2, "") and errors.startswith(f"{service_file.path}:7: [nonsense]: unknown section; ")
    await service.stopService()
    assert not (tmp_path / "control.sock").exists()


@pytest_twisted.ensureDeferred
async def test_a_runtime_directory_that_cannot_be_used_is_logged(service_file, tmp_path, said):
    await service_file.start("", RUNTIME_DIRECTORY=str(tmp_path / "none"))
    [line] = [line for line in said if "control.sock" in line]
    assert line.startswith(f"{tmp_path}/none/control.sock: the socket cannot be opened, so wsdgateway reload needs ")
