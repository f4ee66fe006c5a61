"""What the app does: loops, builders and the read-only inspection. No Redis connections of their own."""
