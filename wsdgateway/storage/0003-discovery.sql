CREATE TABLE instance (
    id INTEGER NOT NULL -- the InstanceId of the last start; one row
);
CREATE TABLE adopted (
    uuid TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE stand_in (
    endpoint TEXT PRIMARY KEY,
    digest TEXT NOT NULL, -- of what its metadata is made from
    version INTEGER NOT NULL -- the MetadataVersion that clients are told
);
