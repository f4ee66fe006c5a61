"""Floor 2: the only code that talks to Redis."""
