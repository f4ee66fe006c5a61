-- Records how many entries a group has handled, as a sample for its drain rate.
-- KEYS[1] stream   KEYS[2] hash of group -> its last two samples, '<Unix ms> <handled>' each, older first
-- ARGV[1] group   ARGV[2] minimum time between two samples in ms
-- Returns 1 when a sample was recorded, 0 when none is due or the server does not know the count.
-- Atomic: of consumers that run maintenance at once only one may record it.
local stream, paces = KEYS[1], KEYS[2]
local name, every_ms = ARGV[1], tonumber(ARGV[2])

local handled
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for index = 1, #flat, 2 do
    group[flat[index]] = flat[index + 1]
  end
  local read = group['last-delivered-id'] == '0-0' and 0 or group['entries-read']
  if group.name == name and read then
    handled = read - group.pending
  end
end
if not handled then
  return 0
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local sample = string.format('%.0f %.0f', now_ms, handled)
local held = redis.call('HGET', paces, name) or ''
local last_ms, last_handled = string.match(held, '(%d+) (%d+)$')
if last_ms and tonumber(last_handled) <= handled then  -- fewer: the group was created again or set back
  if now_ms - tonumber(last_ms) < every_ms then
    return 0
  end
  sample = last_ms .. ' ' .. last_handled .. ' ' .. sample
end
redis.call('HSET', paces, name, sample)
return 1
