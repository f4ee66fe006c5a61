-- Ends reservations: each touch leaves the queue or waits for its next moment, and what was sent is written to the log.
-- KEYS  1 ready ZSET, 2 leases ZSET, 3 reservations HASH, then for each lane: LIST, delayed ZSET, log LIST, state HASH
-- ARGV  1 now_ms or "" for the server's, 2 most sends to remember, 3 number of lanes, then their inbox ids,
--       then for each touch: number of its lane, id, token, due_ms or "" (leaves), how many ms ago it was sent or "" (was not)
-- Returns for each touch 1, or 0 when it is no longer reserved under this token and so nothing was done.
-- Atomic, so that a touch is counted in flight or in the log, never in neither.
local READY, LEASES, RESERVATIONS = unpack(KEYS, 1, 3)
local given, most, lanes = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(given) or time[1] * 1000 + math.floor(time[2] / 1000)

local ended, touched = {}, {}
for at = 4 + lanes, #ARGV, 5 do
  local lane, touch, token, due, ago = unpack(ARGV, at, at + 4)
  local LANE, DELAYED, LOG, STATE = unpack(KEYS, lane * 4, lane * 4 + 3)
  local held = redis.call('HGET', RESERVATIONS, touch)
  local mine = held and held:sub(1, #token + 1) == token .. '|'
  if mine then
    redis.call('HDEL', RESERVATIONS, touch)
    redis.call('ZREM', LEASES, touch)
    redis.call('HINCRBY', STATE, 'in_flight', -1)
    if due ~= '' then redis.call('ZADD', DELAYED, due, touch) end
    if ago ~= '' then -- never before the send logged last: the log stays sorted
      local last = tonumber(redis.call('LINDEX', LOG, -1)) or 0
      redis.call('RPUSH', LOG, string.format('%.0f', math.max(last, now - ago)))
    end
    touched[tonumber(lane)] = true
  end
  ended[#ended + 1] = mine and 1 or 0
end

for lane in pairs(touched) do
  local LANE, DELAYED, LOG = unpack(KEYS, lane * 4, lane * 4 + 2)
  for _ = 1, 10 do -- what no window of a day sees any more goes, a little at a time
    local oldest = tonumber(redis.call('LINDEX', LOG, 0))
    if not oldest or oldest > now - 86400001 then break end
    redis.call('LPOP', LOG)
  end
  redis.call('LTRIM', LOG, -most, -1)
  redis.call('PEXPIRE', LOG, 86400001)
  local first = redis.call('LLEN', LANE) > 0 and now or redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
  if first then redis.call('ZADD', READY, math.max(now, first), ARGV[3 + lane]) else redis.call('ZREM', READY, ARGV[3 + lane]) end
end
return ended
