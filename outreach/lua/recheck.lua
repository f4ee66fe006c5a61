-- Makes a lane due for a check now, because its inbox was changed or is held; wakes one idle worker.
-- KEYS  1 ready ZSET, 2 wake LIST, 3 the lane's LIST, 4 its delayed ZSET, 5 held HASH
-- ARGV  1 now_ms in tests, or "" for the server's clock, 2 inbox id, 3 held_until_ms, 0 (not held) or "" (leaves it unchanged)
-- Returns the number of touches in the lane.
-- Atomic, because a lane emptied between the check and the ZADD would stay in the ready ZSET.
local READY, WAKE, LANE, DELAYED, HELD = unpack(KEYS)
local test_now, inbox, held = unpack(ARGV)
local time = redis.call('TIME')
local now = tonumber(test_now) or time[1] * 1000 + math.floor(time[2] / 1000)

if held == '0' then redis.call('HDEL', HELD, inbox) elseif held ~= '' then redis.call('HSET', HELD, inbox, held) end
local touches = redis.call('LLEN', LANE) + redis.call('ZCARD', DELAYED)
if touches > 0 then
  redis.call('ZADD', READY, now, inbox)
  if redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, inbox) end
end
return touches
