"""The store for jobs, subscriptions and other data that outlive the process: in memory, in SQLite, or on Redis."""
