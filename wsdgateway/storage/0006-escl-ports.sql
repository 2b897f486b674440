CREATE TABLE escl_port (
    port INTEGER PRIMARY KEY,
    scanner TEXT NOT NULL UNIQUE -- its name
);
