-- Acquires the first of some consumer names that no live process uses, and creates the consumer in the group.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat, '<group> <consumer> died' -> its last expiry, '<group>' -> served
-- ARGV[1] group   ARGV[2] token of the process   ARGV[3] TTL of a heartbeat in ms   ARGV[4...] names in order of preference
-- Returns the name, or false when all are taken. Records the expiry of the previous process of that name.
-- Atomic: two processes that start together must not get the same name.
local stream, members = KEYS[1], KEYS[2]
local group, token, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function record_expiry(name, alive_until)
  local died, held = group .. ' ' .. name .. ' died', 0
  for _, holder in ipairs(redis.call('XPENDING', stream, group)[4] or {}) do
    held = holder[1] == name and holder[2] or held
  end
  if string.match(redis.call('HGET', members, died) or '', '^%d+') ~= alive_until then  -- its entries were not claimed
    redis.call('HSET', members, died, string.format('%s %s %.0f %s', alive_until, held, now_ms, name))
  end
end

for index = 4, #ARGV do
  local name = ARGV[index]
  local heartbeat = redis.call('HGET', members, group .. ' ' .. name) or ''
  local alive_until, owner = string.match(heartbeat, '^(%d+) (%S+)$')
  if not alive_until or tonumber(alive_until) <= now_ms or owner == token then
    redis.call('XGROUP', 'CREATECONSUMER', stream, group, name)
    if owner and owner ~= token then
      record_expiry(name, alive_until)
    end
    redis.call('HSET', members, group, 'served', group .. ' ' .. name, string.format('%.0f %s', now_ms + ttl_ms, token))
    return name
  end
end
return false
