-- Puts touches into one inbox's lane, or beside it until their own moment comes, and wakes one idle worker.
-- KEYS  1 ready ZSET, 2 wake LIST, 3 the lane's LIST, 4 its delayed ZSET
-- ARGV  1 now_ms or "" for the server's, 2 inbox id, 3 how many go at once, then their ids,
--       then for each delayed touch: due_ms, id
-- Returns how many touches the lane holds.
-- Atomic, because a touch in a lane that is not in the ready ZSET would never be looked at.
local READY, WAKE, LANE, DELAYED = unpack(KEYS)
local given, inbox, at_once = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(given) or time[1] * 1000 + math.floor(time[2] / 1000)

local was = redis.call('LLEN', LANE)
if at_once > 0 then redis.call('RPUSH', LANE, unpack(ARGV, 4, 3 + at_once)) end
if #ARGV > 3 + at_once then redis.call('ZADD', DELAYED, unpack(ARGV, 4 + at_once)) end

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
return was + at_once + redis.call('ZCARD', DELAYED)
