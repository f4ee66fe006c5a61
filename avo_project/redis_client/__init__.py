"""Redis clients of the roles: URLs, connection pools, circuit breakers, monitoring and ACL users."""
