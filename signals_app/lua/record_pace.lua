-- Notes now and then how many entries a group has handled, so that its pace can be told.
-- KEYS[1] stream   KEYS[2] hash of group -> its last two notes, '<Unix ms> <handled>' each, older first
-- ARGV[1] group   ARGV[2] shortest time between two notes in ms
-- Returns 1 when it made a note, 0 when the last one is young or the server has lost count.
-- Atomic: of consumers that keep house together only one may make the note.
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
local note = string.format('%.0f %.0f', now_ms, handled)
local held = redis.call('HGET', paces, name) or ''
local last_ms, last_handled = string.match(held, '(%d+) (%d+)$')
if last_ms and tonumber(last_handled) <= handled then  -- fewer: the group was made anew or set back
  if now_ms - tonumber(last_ms) < every_ms then
    return 0
  end
  note = last_ms .. ' ' .. last_handled .. ' ' .. note
end
redis.call('HSET', paces, name, note)
return 1
