ALTER TABLE own_job RENAME COLUMN job_id TO id; -- the gateway's
ALTER TABLE own_job ADD COLUMN job_id TEXT; -- the scanner's; NULL until it has created the job
UPDATE own_job SET job_id = id;
ALTER TABLE own_job ADD COLUMN client TEXT NOT NULL DEFAULT ''; -- the address of the client that knows the id
