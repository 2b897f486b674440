"""What outlives the process, finished jobs and subscriptions: memory or SQLite, behind one small interface."""
