"""The jobs of one scanner: their statuses, the comparison of statuses, and the answers made from them."""
