-- Drops a group and everything that is known of it, unless one of its consumers is alive.
-- KEYS[1] stream   KEYS[2] hash of the group's heartbeats   KEYS[3] hash of replay group -> last entry id
-- KEYS[4] hash of group -> notes of its pace
-- ARGV[1] group
-- Returns 1 when it is gone, 0 when there was no such group, -1 when a consumer is alive.
-- Atomic: a consumer must not start between look and drop.
local stream, heartbeats, replay_ends, paces = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group = ARGV[1]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for _, heartbeat in ipairs(redis.call('HVALS', heartbeats)) do
  if tonumber(string.match(heartbeat, '^%d+')) > now_ms then
    return -1
  end
end
local destroyed = 0
if redis.call('EXISTS', stream) == 1 then
  destroyed = redis.call('XGROUP', 'DESTROY', stream, group)
end
redis.call('DEL', heartbeats)
redis.call('HDEL', replay_ends, group)
redis.call('HDEL', paces, group)
return destroyed
