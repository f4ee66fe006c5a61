-- Destroys a group and its records, unless one of its consumers is alive.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat, '<group> <consumer> died' -> its last expiry, '<group>' -> served
-- KEYS[3] hash of replay group -> last entry id   KEYS[4] hash of group -> samples of its pace
-- ARGV[1] group
-- Returns 1 when destroyed, 0 when there was no such group, -1 when a consumer is alive.
-- Atomic: a consumer must not start between check and destruction.
local stream, members, replay_ends, paces = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group = ARGV[1]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local own = {}
local flat = redis.call('HGETALL', members)
for index = 1, #flat, 2 do
  if string.sub(flat[index], 1, #group + 1) == group .. ' ' then
    own[#own + 1] = flat[index]
    if tonumber(string.match(flat[index + 1], '^%d+')) > now_ms then  -- an expiry is always in the past
      return -1
    end
  end
end
local destroyed = 0
if redis.call('EXISTS', stream) == 1 then
  destroyed = redis.call('XGROUP', 'DESTROY', stream, group)
end
for _, field in ipairs(own) do
  redis.call('HDEL', members, field)
end
redis.call('HDEL', members, group)
redis.call('HDEL', replay_ends, group)
redis.call('HDEL', paces, group)
return destroyed
