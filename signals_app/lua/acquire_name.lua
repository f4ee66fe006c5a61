-- Gives a consumer the first of some names that no living process has, and makes it known to the group.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat, '<group> <consumer> died' -> its last death, '<group>' -> served
-- ARGV[1] group   ARGV[2] token of the process   ARGV[3] life of a heartbeat in ms   ARGV[4...] names, best first
-- Returns the name, or false when all are taken. Who went silent under it is written down as dead.
-- Atomic: two processes that start together must not get one name.
local stream, members = KEYS[1], KEYS[2]
local group, token, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function record_expiry(name, alive_until)
  local died, held = group .. ' ' .. name .. ' died', 0
  for _, holder in ipairs(redis.call('XPENDING', stream, group)[4] or {}) do
    held = holder[1] == name and holder[2] or held
  end
  if string.match(redis.call('HGET', members, died) or '', '^%d+') ~= alive_until then  -- nobody took its entries
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
