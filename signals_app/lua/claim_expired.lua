-- Claims entries of expired consumers: without a current heartbeat, and idle for long enough.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat, '<group> <consumer> died' -> its last expiry
-- ARGV[1] group   ARGV[2] claiming consumer   ARGV[3] minimum idle time in ms   ARGV[4] maximum entries
-- Returns the claimed ids; their delivery counts are unchanged until they are redelivered.
-- Atomic: a heartbeat that is renewed between check and claim must win.
local stream, members = KEYS[1], KEYS[2]
local group, claimer, min_idle_ms, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function record_expiry(owner, alive_until)
  local died = group .. ' ' .. owner.name .. ' died'
  if string.match(redis.call('HGET', members, died) or '', '^%d+') ~= alive_until then  -- the first claim
    redis.call('HSET', members, died, string.format('%s %s %.0f %s', alive_until, owner.pending, now_ms, claimer))
  end
end

local claimed = {}
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local owner = {}
  for index = 1, #flat, 2 do
    owner[flat[index]] = flat[index + 1]
  end
  local alive_until = string.match(redis.call('HGET', members, group .. ' ' .. owner.name) or '', '^%d+')
  local is_alive = alive_until and tonumber(alive_until) > now_ms
  local before = #claimed
  if before < most and owner.pending > 0 and owner.name ~= claimer and not is_alive then
    local rows = redis.call('XPENDING', stream, group, 'IDLE', min_idle_ms, '-', '+', most - before, owner.name)
    for _, row in ipairs(rows) do
      for _, id in ipairs(redis.call('XCLAIM', stream, group, claimer, min_idle_ms, row[1], 'JUSTID')) do
        claimed[#claimed + 1] = id
      end
    end
  end
  if alive_until and #claimed > before then
    record_expiry(owner, alive_until)
  end
end
return claimed
