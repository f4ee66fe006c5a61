"""Domain layer: records and decisions. No Redis, no Django, no clock: time comes in as a parameter."""
