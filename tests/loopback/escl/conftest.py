"""A gateway that offers a virtual scanner by eSCL."""

import pytest

from tests.loopback.escl.client import client, section
from tests.waiting import until


@pytest.fixture
def offered(bridged, tmp_path):
    """Starts a gateway with `[escl]` and returns it: `await offered(scanner={...}, escl={...}, **sections)`."""

    async def start(scanner=None, escl=None, **sections):
        service = await bridged(scanner, escl=section(tmp_path, **(escl or {})), **sections)
        await until(lambda: all(listener.port is not None for listener in service.escl_ports.listeners))
        service.escl_client = client(service)
        service.spool_folder = tmp_path / "spool"
        service.spool_files = lambda: [path.name for path in service.spool_folder.glob("*.page")]
        return service

    return start
