"""Where finished jobs outlive the process: memory or SQLite, behind one small interface."""
