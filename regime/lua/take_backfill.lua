-- Takes the lease of a backfill, for a new job or for an unfinished one.
-- KEYS  1 lease, 2 job
-- ARGV  1 token of the caller, 2 how long the lease holds in ms, 3 the new job, '' for the one that is there,
--       4 how long the job is kept in s
-- Returns the job, false when another has the lease or there is no job
-- Atomic, so that only one of two concurrent callers gets it.
local lease, job = KEYS[1], KEYS[2]
local token, lease_ms, wanted, job_seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', lease) == 1 then return false end
if wanted ~= '' then
  redis.call('SET', job, wanted, 'EX', job_seconds)
else
  wanted = redis.call('GET', job)
end
if wanted then redis.call('SET', lease, token, 'PX', lease_ms) end
return wanted
