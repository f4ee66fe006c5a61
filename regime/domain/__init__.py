"""Pure records and decisions: no Redis, no Django, no clock. Time is a parameter."""
