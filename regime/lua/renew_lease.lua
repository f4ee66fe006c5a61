-- Holds a lease for longer.
-- KEYS  1 lease
-- ARGV  1 token of the one who holds it, 2 for how long from now in ms
-- Returns 1 when it was the caller's, else 0
-- Atomic, so that nobody renews a lease that ran out and is another's by now.
local lease, token, lease_ms = KEYS[1], ARGV[1], ARGV[2]
if redis.call('GET', lease) == token then return redis.call('PEXPIRE', lease, lease_ms) end
return 0
