"""A peer for benchmark (b): forwards with twisted.web and its Agent, over persistent connections."""

import sys
from io import BytesIO

from twisted.internet import endpoints, reactor
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


class Forward(Resource):
    """Forwards each request, and returns the answer."""

    isLeaf = True

    def __init__(self, device):
        super().__init__()
        pool = HTTPConnectionPool(reactor)
        pool.maxPersistentPerHost = 32
        self._agent = Agent(reactor, pool=pool)
        self._device = device

    def render_POST(self, request):
        sending = self._agent.request(b"POST", self._device, Headers({b"Content-Type": [b"application/soap+xml"]}),
                                      FileBodyProducer(BytesIO(request.content.read())))
        sending.addCallback(readBody)

        def answer(body):
            request.setHeader(b"content-type", b"application/soap+xml")
            request.setHeader(b"content-length", b"%d" % len(body))
            request.write(body)
            request.finish()

        sending.addCallback(answer)
        return NOT_DONE_YET


site = Site(Forward(sys.argv[2].encode()))
site.log = lambda request: None
endpoints.serverFromString(reactor, f"tcp:{sys.argv[1]}:interface=127.0.0.1:backlog=4096").listen(site)
reactor.run()
