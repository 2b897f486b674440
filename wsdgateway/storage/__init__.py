"""The store of what outlives the process, finished jobs and subscriptions: memory or SQLite, behind one interface."""
