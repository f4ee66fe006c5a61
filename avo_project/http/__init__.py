"""What the project says and asks over HTTP."""
