"""Data sets, synthetic and downloaded."""
