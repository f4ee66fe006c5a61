"""The queue in Redis. Only this package talks to Redis."""
