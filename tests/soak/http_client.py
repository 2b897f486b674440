"""HTTP client of the soak, which sends SOAP and keeps its connection open as long as possible."""

import asyncio
import contextlib
from itertools import count

from tests.messages import GATEWAY, SCAN, envelope
from wsdgateway.http.responses import BadAnswer, Data, End, Head, ResponseReader

ANSWER_SECONDS = 30.0
_ids = count(1)


class Broken(Exception):
    """The connection closed before a complete answer."""


class Client:
    """One connection at a time to a port on loopback, reopened when it is closed."""

    def __init__(self, port):
        self._port = port
        self._streams = None

    async def _connect(self):
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def close(self):
        """Closes the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()

    @property
    def is_open(self):
        """True if the other side is not known to have closed the connection."""
        return self._streams is not None and not self._streams[0].at_eof() and not self._streams[1].is_closing()

    async def send(self, path, body, method="POST"):
        """Sends a request without waiting for the answer; its To becomes the URL, as with every real client.

        The gateway does not share the answer to a request with a foreign To, and promise 5 applies to shared answers.
        """
        reader, writer = await self._connect()
        host = f"127.0.0.1:{self._port}"
        body = body.replace(GATEWAY.encode(), f"http://{host}{path}".encode())
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/soap+xml\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return reader

    async def ask(self, path, body, seconds=ANSWER_SECONDS, method="POST"):
        """Returns status and body. Raises `Broken`, and then the connection is closed."""
        if not self.is_open:
            self.close()
        try:
            async with asyncio.timeout(seconds):
                reader = await self.send(path, body, method)
                parts, head, answer = ResponseReader(), None, []
                while True:
                    data = await reader.read(65536)
                    events = parts.feed(data) if data else parts.eof()
                    for event in events:
                        if isinstance(event, Head):
                            head = event
                        elif isinstance(event, Data):
                            answer.append(bytes(event.data))
                        elif isinstance(event, End):
                            if not parts.reusable:
                                self.close()
                            return head.status, b"".join(answer)
        except (OSError, TimeoutError, BadAnswer) as error:
            self.close()
            raise Broken(f"{type(error).__name__} {error}") from None
        except (Broken, asyncio.CancelledError):
            self.close()
            raise


def message(operation, body="", **more):
    """Returns a WS-Scan request with a MessageID of its own."""
    message_id = f"urn:uuid:00000000-0000-4000-8000-{next(_ids):012x}"
    return envelope(f"{SCAN}/{operation}", body, message_id=message_id, **more)


async def pause(stop, seconds):
    """Waits so many seconds, or until the soak ends."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
