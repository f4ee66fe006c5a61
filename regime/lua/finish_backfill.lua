-- Ends a backfill job: deletes its lease and the job.
-- KEYS  1 lease, 2 job
-- ARGV  1 token of the one who holds the lease
-- Returns how many keys went, 0 when the lease is not the caller's
-- Atomic, so that the job of a new lease owner is left alone.
local lease, job, token = KEYS[1], KEYS[2], ARGV[1]
if redis.call('GET', lease) == token then return redis.call('DEL', lease, job) end
return 0
