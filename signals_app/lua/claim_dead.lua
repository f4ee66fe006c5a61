-- Takes over entries whose consumer is dead: its heartbeat is gone and the entry has been idle for long enough.
-- KEYS[1] stream   KEYS[2] hash of heartbeats
-- ARGV[1] group   ARGV[2] consumer that claims   ARGV[3] shortest idle time in ms   ARGV[4] most entries
-- Returns the claimed ids; their delivery counts stay as they are until they are delivered again.
-- Atomic: a heartbeat that comes back between look and claim must win.
local stream, heartbeats = KEYS[1], KEYS[2]
local group, claimer, min_idle_ms, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function is_alive(consumer)
  local alive_until = string.match(redis.call('HGET', heartbeats, consumer) or '', '^%d+')
  return alive_until and tonumber(alive_until) > now_ms
end

local claimed = {}
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local owner = {}
  for index = 1, #flat, 2 do
    owner[flat[index]] = flat[index + 1]
  end
  local room = most - #claimed
  if room > 0 and owner.pending > 0 and owner.name ~= claimer and not is_alive(owner.name) then
    for _, row in ipairs(redis.call('XPENDING', stream, group, 'IDLE', min_idle_ms, '-', '+', room, owner.name)) do
      for _, id in ipairs(redis.call('XCLAIM', stream, group, claimer, min_idle_ms, row[1], 'JUSTID')) do
        claimed[#claimed + 1] = id
      end
    end
  end
end
return claimed
