"""The keys at the server, one function for each. `{NAME}` is the name of a scanner.

| key | type | content |
|---|---|---|
| `era` | hash | `number`, `run_id` of the server on which it began, `grace_until` in ms of the server's time |
| `gateways` | set | identifiers of registered gateways, some of which may be gone |
| `gateway:ID` | string, PX | the registration, JSON |
| `name:NAME` | string, PX | the identifier of the gateway that uses this `[cluster] name` |
| `wishes` | hash | scanner → `MS GATEWAY`: until when (server's time) the gateway of that name shall own it |
| `{NAME}:owner` | string, PX | `ERA TOKEN ID` |
| `{NAME}:token` | string | the highest token ever |
| `{NAME}:events` | stream | entries `TOKEN-SEQUENCE`; the first of each ownership says `took` |
| `schema` | string | the version of the format of the data |
| `scanners` | set | the names of scanners with data |
| `{NAME}:subs` | hash | clients' subscriptions by identifier, JSON |
| `{NAME}:held` | hash | subscriptions at the scanner by identifier, JSON |
| `{NAME}:own-jobs` | hash | jobs of the gateways' own by JobId, JSON |
| `{NAME}:done` | list | finished jobs, the oldest first, JSON |
| `{NAME}:offer` | string | what the scanner offers by eSCL, JSON |
| `{NAME}:cursor` | hash | subscription → the last event and panel event that it was given, and the last one before it |
| `{NAME}:create:HASH` | string, PX | a CreateScanJob that was sent, or its reply |
| `jobs:CLIENT` | sorted set, PX | each job that counts for a client, `SCANNER NUMBER ID` → ms of the server's time |
| `instance`, `peer-secret` | string | the last InstanceId; the secret of the peer link |
| `versions`, `adopted`, `escl-ports` | hash | by endpoint, uuid, scanner's name: shared by all gateways |
"""

PREFIX = "wsdgateway:"
BELL = PREFIX + "bell"  # a channel
NONE = PREFIX + "none"  # never exists
ERA = PREFIX + "era"
GATEWAYS = PREFIX + "gateways"
WISHES = PREFIX + "wishes"
SCHEMA = PREFIX + "schema"
SCANNERS = PREFIX + "scanners"
ESCL_PORTS = PREFIX + "escl-ports"
INSTANCE = PREFIX + "instance"
VERSIONS = PREFIX + "versions"
ADOPTED = PREFIX + "adopted"
PEER_SECRET = PREFIX + "peer-secret"


def gateway(identifier: str) -> str:
    """The registration of a gateway."""
    return f"{PREFIX}gateway:{identifier}"


def name(gateway_name: str) -> str:
    """The use of a `[cluster] name`."""
    return f"{PREFIX}name:{gateway_name}"


def of_scanner(scanner: str, what: str) -> str:
    """A key of a scanner, by the part after its name."""
    return f"{PREFIX}{{{scanner}}}:{what}"


def owner(scanner: str) -> str:
    """The owner of a scanner."""
    return of_scanner(scanner, "owner")


def token(scanner: str) -> str:
    """The highest token of a scanner."""
    return of_scanner(scanner, "token")


def events(scanner: str) -> str:
    """The stream of a scanner's events."""
    return of_scanner(scanner, "events")


def subscriptions(scanner: str) -> str:
    """The clients' subscriptions of a scanner."""
    return of_scanner(scanner, "subs")


def held(scanner: str) -> str:
    """The subscriptions held at a scanner."""
    return of_scanner(scanner, "held")


def done(scanner: str) -> str:
    """The finished jobs of a scanner."""
    return of_scanner(scanner, "done")


def own_jobs(scanner: str) -> str:
    """The jobs that the gateways themselves have created at a scanner."""
    return of_scanner(scanner, "own-jobs")


def offer(scanner: str) -> str:
    """The key of a scanner's eSCL offer."""
    return of_scanner(scanner, "offer")


def cursor(scanner: str) -> str:
    """The last event that each subscription was given."""
    return of_scanner(scanner, "cursor")


def jobs(client: str) -> str:
    """The jobs that count for a client, at the scanners of all gateways."""
    return f"{PREFIX}jobs:{client}"


def create(scanner: str, digest: str) -> str:
    """A CreateScanJob that was sent to a scanner."""
    return of_scanner(scanner, f"create:{digest}")
