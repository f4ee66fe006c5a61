-- Drops a group and everything that is known of it, unless one of its consumers is alive.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat   KEYS[3] hash of the same -> its last death
-- KEYS[4] hash of replay group -> last entry id   KEYS[5] hash of group -> notes of its pace
-- ARGV[1] group
-- Returns 1 when it is gone, 0 when there was no such group, -1 when a consumer is alive.
-- Atomic: a consumer must not start between look and drop.
local stream, heartbeats, deaths, replay_ends, paces = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group = ARGV[1]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function is_member(name)
  return string.sub(name, 1, #group + 1) == group .. ' '
end

local flat = redis.call('HGETALL', heartbeats)
for index = 1, #flat, 2 do
  if is_member(flat[index]) and tonumber(string.match(flat[index + 1], '^%d+')) > now_ms then
    return -1
  end
end
local destroyed = 0
if redis.call('EXISTS', stream) == 1 then
  destroyed = redis.call('XGROUP', 'DESTROY', stream, group)
end
for _, hash in ipairs({heartbeats, deaths}) do
  for _, name in ipairs(redis.call('HKEYS', hash)) do
    if is_member(name) then
      redis.call('HDEL', hash, name)
    end
  end
end
redis.call('HDEL', replay_ends, group)
redis.call('HDEL', paces, group)
return destroyed
