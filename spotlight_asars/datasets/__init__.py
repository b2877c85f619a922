"""Logs to try things on."""
