"""Records and decisions of outreach. No Redis, no Django, no clock: time is a parameter."""
