"""The jobs of one scanner: their statuses, which of two is newer, and the answers made from them."""
