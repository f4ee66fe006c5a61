"""HTTP: problem responses, rendering, request limits and outgoing requests."""
