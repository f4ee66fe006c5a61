-- Gives a consumer the first of some names that no living process has.
-- KEYS[1] hash of heartbeats
-- ARGV[1] token of the process   ARGV[2] life of a heartbeat in ms   ARGV[3...] names, best first
-- Returns the name, or false when all are taken.
-- Atomic: two processes that start together must not get one name.
local heartbeats = KEYS[1]
local token, ttl_ms = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for index = 3, #ARGV do
  local alive_until, owner = string.match(redis.call('HGET', heartbeats, ARGV[index]) or '', '^(%d+) (%S+)$')
  if not alive_until or tonumber(alive_until) <= now_ms or owner == token then
    redis.call('HSET', heartbeats, ARGV[index], string.format('%.0f %s', now_ms + ttl_ms, token))
    return ARGV[index]
  end
end
return false
