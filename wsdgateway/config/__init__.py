"""The configuration: reads TOML into frozen values."""
