-- Makes everything a leaving or dead consumer still holds claimable at once; a leaving one is then gone, and its name
-- with it if it held nothing.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat
-- ARGV[1] group   ARGV[2] consumer   ARGV[3] token, '' for a dead one   ARGV[4...] ids whose handler never began
-- Returns how many entries were handed back; false when another living process has the name.
-- Atomic: the heartbeat must not be gone before the entries are free, nor the other way round.
local stream, members = KEYS[1], KEYS[2]
local group, consumer, token = ARGV[1], ARGV[2], ARGV[3]
local member = group .. ' ' .. consumer

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local alive_until, owner = string.match(redis.call('HGET', members, member) or '', '^(%d+) (%S+)$')
if owner and owner ~= token and tonumber(alive_until) > now_ms then
  return false
end
local not_started = {}
for index = 4, #ARGV do
  not_started[ARGV[index]] = true
end

local released, from = 0, '-'
repeat
  local rows = redis.call('XPENDING', stream, group, from, '+', 500, consumer)
  for _, row in ipairs(rows) do
    local id, deliveries = row[1], row[4]
    if not_started[id] then
      deliveries = math.max(0, deliveries - 1)
    end
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'TIME', 0, 'RETRYCOUNT', deliveries, 'JUSTID')
    released, from = released + 1, '(' .. id
  end
until #rows < 500
if token ~= '' then  -- the heartbeat of a dead one tells when it died
  redis.call('HDEL', members, member)
  if released == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
  end
end
return released
