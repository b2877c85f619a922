"""Models that represent a user by the sequence of their items."""
