"""A peer for benchmark (e): a twisted.web Agent sends each request posted to it to all sinks at once."""

import sys
from io import BytesIO

from twisted.internet import reactor
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Site

PORT, SINKS, COUNT = (int(argument) for argument in sys.argv[1:4])


class FanOut(Resource):
    """Answers with 202, and sends the request to all sinks."""

    isLeaf = True
    agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))

    def render_POST(self, request: object) -> bytes:
        body = request.content.read()
        for number in range(COUNT):
            sending = self.agent.request(b"POST", b"http://127.0.0.1:%d/%d" % (SINKS, number), Headers(
                {b"Content-Type": [b"application/soap+xml"]}), FileBodyProducer(BytesIO(body)))
            sending.addErrback(lambda failure: None)
        request.setResponseCode(202)
        return b""


site = Site(FanOut())
site.log = lambda request: None
reactor.listenTCP(PORT, site, interface="127.0.0.1", backlog=4096)
reactor.run()
