"""Data: generated, and fetched once."""
