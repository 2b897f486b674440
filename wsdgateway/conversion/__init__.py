"""Image formats and PDF: converts the files of pages, in a process of its own."""
