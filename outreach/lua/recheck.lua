-- Has a lane looked at again now, because its inbox was changed or held; wakes one idle worker.
-- KEYS  1 ready ZSET, 2 wake LIST, 3 the lane's LIST, 4 its delayed ZSET, 5 held HASH
-- ARGV  1 now_ms or "" for the server's, 2 inbox id, 3 held_until_ms, or "" to leave that as it is
-- Returns how many touches the lane holds.
-- Atomic, because a lane that was emptied between the look and the score would stay in the ready ZSET.
local READY, WAKE, LANE, DELAYED, HELD = unpack(KEYS)
local given, inbox, held = unpack(ARGV)
local time = redis.call('TIME')
local now = tonumber(given) or time[1] * 1000 + math.floor(time[2] / 1000)

if held ~= '' then redis.call('HSET', HELD, inbox, held) end
local touches = redis.call('LLEN', LANE) + redis.call('ZCARD', DELAYED)
if touches > 0 then
  redis.call('ZADD', READY, now, inbox)
  if redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, inbox) end
end
return touches
