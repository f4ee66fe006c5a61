-- Ends a backfill job: gives its lease back and forgets the job.
-- KEYS  1 lease, 2 job
-- ARGV  1 token of the one who holds the lease
-- Returns how many keys went, 0 when the lease is not the caller's
-- Atomic, so that nobody forgets the job that another one does by now.
local lease, job, token = KEYS[1], KEYS[2], ARGV[1]
if redis.call('GET', lease) == token then return redis.call('DEL', lease, job) end
return 0
