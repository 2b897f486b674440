CREATE TABLE owned_job (
    scanner TEXT NOT NULL,
    id TEXT NOT NULL, -- the gateway's
    job_id TEXT, -- the scanner's; NULL until it has created the job
    created TEXT, -- JobCreatedTime
    answered REAL, -- when CreateScanJob was answered, in seconds since 1970
    client TEXT NOT NULL, -- the address of the eSCL client, or empty
    PRIMARY KEY (scanner, id)
);
INSERT INTO owned_job SELECT scanner, job_id, job_id, created, answered, '' FROM own_job ORDER BY rowid;
DROP TABLE own_job;
ALTER TABLE owned_job RENAME TO own_job;
