-- Releases a lease, and deletes the job that was done under it.
-- KEYS  1 lease, 2 job, if there is one
-- ARGV  1 token of the owner
-- Returns the number of deleted keys, 0 when the lease is not the caller's
-- Atomic, so that a lease that expired and has a new owner is left alone.
local lease, token = KEYS[1], ARGV[1]
if redis.call('GET', lease) == token then return redis.call('DEL', unpack(KEYS)) end
return 0
