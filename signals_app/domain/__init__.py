"""Records and decisions. No Redis, no Django, no clock: time is a parameter."""
