-- Renews a lease.
-- KEYS  1 lease
-- ARGV  1 token of the owner, 2 new duration in ms
-- Returns 1 when it was the caller's, else 0
-- Atomic, so that a lease that expired and has a new owner is left alone.
local lease, token, lease_ms = KEYS[1], ARGV[1], ARGV[2]
if redis.call('GET', lease) == token then return redis.call('PEXPIRE', lease, lease_ms) end
return 0
