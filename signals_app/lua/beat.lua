-- Renews the heartbeat of a consumer and its in-flight entries.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat
-- ARGV[1] group   ARGV[2] consumer   ARGV[3] token   ARGV[4] TTL of a heartbeat in ms   ARGV[5...] ids of in-flight entries
-- Returns the ids that the consumer still holds, or false when another process has its name.
-- Atomic: renewing an entry that was claimed meanwhile would take it back.
local stream, members = KEYS[1], KEYS[2]
local group, consumer, token, ttl_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local member = group .. ' ' .. consumer

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local alive_until, owner = string.match(redis.call('HGET', members, member) or '', '^(%d+) (%S+)$')
if owner and owner ~= token and tonumber(alive_until) > now_ms then
  return false
end
redis.call('HSET', members, member, string.format('%.0f %s', now_ms + ttl_ms, token))

local kept = {}
for index = 5, #ARGV do
  local id = ARGV[index]
  if #redis.call('XPENDING', stream, group, id, id, 1, consumer) > 0 then
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID')
    kept[#kept + 1] = id
  end
end
return kept
