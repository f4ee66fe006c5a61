-- Acquires one of a subject's stream places, or renews the lease of the place that the stream holds.
-- KEYS  the sorted set of the subject's leases: token of a stream -> when its lease ends, in ms
-- ARGV  token, places, length of a lease in ms, now in ms ("" is the server's clock)
-- Returns 1 if the stream holds a place now, places in use, ms until the first lease ends
-- Atomic, because another stream could take the last place between the check and the lease.
local leases, token, places, length = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
-- A lease that ends later than one given now was given before the clock was set back.
for _, other in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now + length, '+inf')) do
  redis.call('ZADD', leases, now + length, other)
end

local used, holds = redis.call('ZCARD', leases), redis.call('ZSCORE', leases, token)
if holds or used < places then
  redis.call('ZADD', leases, now + length, token)
  redis.call('PEXPIRE', leases, length)
  return {1, holds and used or used + 1, length}
end
local first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')
return {0, used, first[2] and first[2] - now or 0}
