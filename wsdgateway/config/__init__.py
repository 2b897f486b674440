"""The configuration: TOML to frozen values."""
