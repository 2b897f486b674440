CREATE TABLE own_job (
    scanner TEXT NOT NULL,
    job_id TEXT NOT NULL, -- the scanner's
    created TEXT, -- JobCreatedTime
    PRIMARY KEY (scanner, job_id)
);
