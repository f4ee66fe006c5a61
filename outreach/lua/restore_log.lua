-- Restores an inbox's log of the last day's sends from the ledger, unless the inbox has a log.
-- KEYS  1 the log LIST
-- ARGV  server times in ms, oldest first
-- Returns the length of the log.
-- Atomic, because two workers may restore the same log and each send must be counted once.
local LOG = KEYS[1]
if redis.call('EXISTS', LOG) == 0 then
  for first = 1, #ARGV, 5000 do
    redis.call('RPUSH', LOG, unpack(ARGV, first, math.min(first + 4999, #ARGV)))
  end
  redis.call('PEXPIRE', LOG, 86400001)
end
return redis.call('LLEN', LOG)
