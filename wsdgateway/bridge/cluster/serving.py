"""The messages by which gateways tell each other, while the shared server is away, which scanners each serves.

Question and answer are the same on the peer link: a POST to `/` with the secret and the field `ASKED`, whose body is a
`Serving` in JSON, and an answer with another one.
"""

import json

from wsdgateway.bridge.cluster.peerfields import BadFields, read_owner, write_owner
from wsdgateway.bridge.cluster.values import CLAIM, Serving

ASKED = b"WSDGateway-Asked"
MAX_BODY = 262144  # bytes of a question or answer
MAX_NAME = 256  # characters of a scanner's name


def write_serving(serving: Serving) -> bytes:
    """The body of a question or answer."""
    return json.dumps([write_owner(serving.gateway).decode("ascii"), dict(serving.tokens)]).encode("ascii")


def read_serving(body: bytes) -> Serving:
    """Read the body of a question or answer. Raises `BadFields`."""
    try:
        values = json.loads(body) if len(body) <= MAX_BODY else None
    except (ValueError, RecursionError):
        values = None
    if not (isinstance(values, list) and len(values) == 2 and isinstance(values[0], str)
            and isinstance(values[1], dict)
            and all(len(name) <= MAX_NAME and type(token) is int and CLAIM <= token < 2**63
                    for name, token in values[1].items())):
        raise BadFields("what it tells about its scanners must be as this version writes it; run the same version on "
                        "all gateways")
    return Serving(read_owner(values[0].encode()), values[1])
