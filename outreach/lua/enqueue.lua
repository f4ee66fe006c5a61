-- Puts touches into lanes, or beside them until their own moment comes, and wakes one idle worker.
-- KEYS  1 ready ZSET, 2 wake LIST, then for each lane: LIST, delayed ZSET
-- ARGV  1 now_ms or "" for the server's,
--       then for each lane: inbox id, how many go at once, how many are delayed, their ids, their due_ms and ids
-- Returns how many lanes there were.
-- Atomic, because a touch in a lane that is not in the ready ZSET would never be looked at.
local READY, WAKE = unpack(KEYS, 1, 2)
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)

local lanes, at = (#KEYS - 2) / 2, 2
for lane = 1, lanes do
  local LANE, DELAYED = unpack(KEYS, 1 + 2 * lane, 2 + 2 * lane)
  local inbox, at_once, delayed = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local ids, dues = at + 3, at + 3 + at_once
  at = dues + 2 * delayed
  local was = redis.call('LLEN', LANE)
  if at_once > 0 then redis.call('RPUSH', LANE, unpack(ARGV, ids, dues - 1)) end
  if delayed > 0 then redis.call('ZADD', DELAYED, unpack(ARGV, dues, at - 1)) end

  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if was > 0 then
    redis.call('ZADD', READY, 'NX', now, inbox) -- its score already says when a touch of this lane may go
  elseif at_once > 0 then
    redis.call('ZADD', READY, 'LT', now, inbox)
  elseif first[2] then
    redis.call('ZADD', READY, 'LT', first[2], inbox)
  end
  local score = tonumber(redis.call('ZSCORE', READY, inbox))
  if score and score <= now and redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, inbox) end
end
return lanes
