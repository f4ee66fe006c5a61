-- Adds touches to lanes, or to a lane's delayed set until they are due, and wakes one idle worker.
-- KEYS  1 ready ZSET, 2 wake LIST, then for each lane: LIST, delayed ZSET
-- ARGV  1 now_ms in tests, or "" for the server's clock,
--       then for each lane: inbox id, number to send at once, number delayed, their ids, their due_ms and ids
-- Returns the number of lanes.
-- Atomic, because a touch in a lane that is missing from the ready ZSET would never be sent.
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
    redis.call('ZADD', READY, 'NX', now, inbox) -- the score is already the lane's next send
  elseif at_once > 0 then
    redis.call('ZADD', READY, 'LT', now, inbox)
  elseif first[2] then
    redis.call('ZADD', READY, 'LT', first[2], inbox)
  end
  local score = tonumber(redis.call('ZSCORE', READY, inbox))
  if score and score <= now and redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, inbox) end
end
return lanes
