"""The admin site: health, metrics, JSON, and a page for people, on twisted.web."""
