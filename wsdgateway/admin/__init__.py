"""The admin site: health, metrics, a JSON API and web pages, built on twisted.web."""
