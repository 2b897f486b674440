ALTER TABLE own_job ADD COLUMN answered REAL; -- when CreateScanJob was answered, in seconds since 1970
