"""How this project reaches Redis."""
