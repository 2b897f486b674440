"""The store for data that outlives the process, such as finished jobs and subscriptions: in memory or in SQLite, behind
one interface."""
