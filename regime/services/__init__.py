"""Floor 3: what the app does. Loops, builders and the read-only view; no connection of their own."""
