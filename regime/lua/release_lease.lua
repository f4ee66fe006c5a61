-- Releases a lease.
-- KEYS  1 lease
-- ARGV  1 token of the one who holds it
-- Returns 1 when it was the caller's, else 0
-- Atomic, so that a lease that expired and has a new owner is left alone.
local lease, token = KEYS[1], ARGV[1]
if redis.call('GET', lease) == token then return redis.call('DEL', lease) end
return 0
