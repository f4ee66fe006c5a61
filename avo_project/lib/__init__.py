"""Pure code that every app may import: no Django, no Redis, no clock."""
