CREATE TABLE client_subscription (
    identifier TEXT PRIMARY KEY,
    scanner TEXT NOT NULL,
    client TEXT NOT NULL,
    manager TEXT NOT NULL,
    notify_to TEXT NOT NULL, -- JSON: address, then the reference parameters as XML
    notify_ip TEXT NOT NULL,
    end_to TEXT,
    end_ip TEXT,
    filter TEXT, -- JSON: the URIs; NULL: every event
    expires_at REAL NOT NULL,
    panel INTEGER NOT NULL,
    destinations TEXT, -- JSON: ScanDestinations as XML, then [context, name] of each
    tokens TEXT NOT NULL -- JSON: [context, given, current] of each
);
CREATE TABLE device_subscription (
    scanner TEXT NOT NULL,
    identifier TEXT NOT NULL, -- the client's; empty: the gateway's own
    address TEXT NOT NULL,
    notify_to TEXT NOT NULL,
    manager TEXT NOT NULL, -- JSON, as notify_to above
    expires_at REAL NOT NULL,
    PRIMARY KEY (scanner, identifier)
);
