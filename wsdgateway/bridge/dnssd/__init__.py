"""Decisions of DNS-SD: what is announced and answered on one link, and what others announce there."""
