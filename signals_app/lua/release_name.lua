-- Makes all entries of a consumer that shuts down, or has expired, claimable at once. A consumer that shuts down is
-- removed if it held nothing.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat
-- ARGV[1] group   ARGV[2] consumer   ARGV[3] token, '' for an expired consumer   ARGV[4...] ids whose handler was not started
-- Returns the number of entries released; false when another live process has the name.
-- Atomic: heartbeat and entries must be released together.
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
if token ~= '' then  -- the heartbeat of an expired consumer shows when it expired
  redis.call('HDEL', members, member)
  if released == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
  end
end
return released
