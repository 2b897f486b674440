CREATE TABLE finished_job (
    id INTEGER PRIMARY KEY,
    scanner TEXT NOT NULL,
    job_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reasons TEXT NOT NULL,
    scans_completed INTEGER,
    created TEXT,
    completed TEXT,
    finished REAL NOT NULL
);
CREATE INDEX finished_job_by_scanner ON finished_job (scanner, id);
