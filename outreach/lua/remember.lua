-- Puts older sends, as the ledger knows them, before those that an inbox's log still has.
-- KEYS  1 the log LIST
-- ARGV  server times in ms, newest first
-- Returns the length of the log.
-- Atomic, because a send logged between the look and the push would be counted in the wrong place.
local LOG = KEYS[1]
local first = tonumber(redis.call('LINDEX', LOG, 0))
for _, stamp in ipairs(ARGV) do
  if not first or tonumber(stamp) < first then redis.call('LPUSH', LOG, stamp) end
end
redis.call('PEXPIRE', LOG, 86400001)
return redis.call('LLEN', LOG)
