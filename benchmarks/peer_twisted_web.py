"""A peer for benchmark (a): twisted.web answers with a constant SOAP body."""

import sys

from peers import JOB_STATUS
from twisted.internet import endpoints, reactor
from twisted.web.resource import Resource
from twisted.web.server import Site


class Constant(Resource):
    """Answers every request with the same body."""

    isLeaf = True
    body = JOB_STATUS.encode()

    def render_POST(self, request):
        request.content.read()
        request.setHeader(b"content-type", b"application/soap+xml; charset=utf-8")
        return self.body


site = Site(Constant())
site.log = lambda request: None
endpoints.serverFromString(reactor, f"tcp:{sys.argv[1]}:interface=127.0.0.1:backlog=4096").listen(site)
reactor.run()
