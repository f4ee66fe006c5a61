-- Charges a request to all windows of its subject, or to none of them; or only looks whether it could.
-- KEYS  per policy: the hash of that window. Fields: bucket number -> units charged in it; and `state`: the latest
--       bucket, the units in all others that are in the window, the oldest bucket of all, the units in the latest
-- ARGV  cost, the first policy to be charged (those before it are only checked), buckets a window, now in ms ("" is the
--       server's clock), then per policy: limit, length of a bucket in ms, 1 if in shadow (counts, refuses nothing)
-- Returns ms to wait (0: it can be charged), then per policy: units used, ms until the oldest comes back
-- Atomic, because another caller could take the same unit between the check and the charge.
local windows, cost, first, buckets, now = KEYS, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local call, reply, states, rolls, wait, STATE = redis.call, {}, {}, {}, 0, '((%d+) (%d+) (%d+)) (%d+)'
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function contents(window, current, at, charged) -- units by bucket, the buckets in the window, fields to be dropped
  local units, live, gone, fields = {}, {}, {current}, call('HGETALL', window) -- `state` has the current one
  for f = 1, #fields, 2 do units[tonumber(fields[f]) or 0] = tonumber(fields[f + 1]) end -- `state` is no number
  if at then units[at] = charged end
  for bucket in pairs(units) do table.insert(bucket >= current - buckets and live or gone, bucket) end
  table.sort(live)
  return {units = units, live = live, gone = gone}
end

for i, window in ipairs(windows) do
  local limit, length, shadow = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3]), ARGV[3 * i + 4] == '1'
  local current, units, inside = math.floor(now / length), math.min(cost, limit), nil
  local head, at, others, oldest, charged = string.match(call('HGET', window, 'state') or '', STATE)
  at, others, charged = tonumber(at), tonumber(others), tonumber(charged)
  if at ~= current then -- within one bucket nothing leaves the window
    inside, others = contents(window, current, at, charged), 0
    for _, bucket in ipairs(inside.live) do others = others + inside.units[bucket] end
    rolls[i], oldest, charged = inside, inside.live[1] or current, inside.units[current] or 0
    others, inside.last = others - charged, at and at >= current - buckets and at or current
    head = current .. ' ' .. others .. ' ' .. oldest
  end
  local missing = others + charged + units - limit
  if missing > 0 and not shadow then
    inside = inside or contents(window, current, at, charged)
    for _, bucket in ipairs(inside.live) do -- the oldest units come back first
      if missing > 0 then wait = math.max(wait, (bucket + buckets + 1) * length - now) end
      missing = missing - inside.units[bucket]
    end
  end
  states[i] = head .. ' ' .. charged + units -- writing numbers out is dear: three of them are as they were
  reply[2 * i], reply[2 * i + 1] = others + charged, (oldest + buckets + 1) * length - now
end
reply[1] = wait
if wait > 0 then return reply end

for i = first, #windows do
  local window, limit, length, roll = windows[i], tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3]), rolls[i]
  call('HSET', window, 'state', states[i])
  if roll then
    call('HSET', window, roll.last, roll.units[roll.last] or 0)
    call('HDEL', window, unpack(roll.gone))
    call('PEXPIRE', window, (buckets + 1) * length)
  end
  reply[2 * i] = reply[2 * i] + math.min(cost, limit)
end
return reply
