ALTER TABLE finished_job ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0; -- the scanner has given the JobId again
