-- Charges a request to all windows of its subject or to none of them; with cost 0 or a test, only checks them.
-- KEYS  per policy: the hash of that window. Fields: bucket number -> units charged in it; and `state`: the latest
--       bucket, the units in all others that are in the window, the oldest bucket of all, the units in the latest
-- ARGV  cost, the first policy to be charged (those before it are only checked), buckets a window, now in ms ("" is the
--       server's clock), then per policy: limit, length of a bucket in ms, 1 in shadow mode (counts, never rejects)
-- Returns ms to wait (0: allowed), then per policy: units used, ms until the oldest comes back
-- Atomic, because another caller could use the same unit between the check and the charge.
local windows, cost, first, buckets, now = KEYS, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local call, reply, rolls, heads, counts, costs, wait, STATE = redis.call, {}, {}, {}, {}, {}, 0, '((%d+) (%d+) (%d+)) (%d+)'
local time = now or call('TIME')
now = now or time[1] * 1000 + math.floor(time[2] / 1000)
local function contents(window, current, at, charged) -- units by bucket, the buckets in the window, fields to be dropped
  local units, live, gone, ahead, sum, fields = {}, {}, {current}, 0, 0, call('HGETALL', window) -- `state` has `current`
  for f = 1, #fields, 2 do units[tonumber(fields[f]) or 0] = tonumber(fields[f + 1]) end -- `state` is no number
  if at then units[at] = charged end
  for bucket, count in pairs(units) do
    table.insert(bucket <= current and bucket >= current - buckets and live or gone, bucket)
    ahead, sum = ahead + (bucket > current and count or 0), sum + (bucket >= current - buckets and count or 0)
  end
  if ahead > 0 and not units[current] then table.insert(live, current) end
  if ahead > 0 then units[current] = (units[current] or 0) + ahead end -- the clock stepped back: they count as made now
  table.sort(live)
  return {units = units, live = live, gone = gone, moved = ahead > 0, sum = sum}
end
for i, window in ipairs(windows) do
  local limit, length, shadow = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3]), ARGV[3 * i + 4] == '1'
  local current, units, inside = math.floor(now / length), math.min(cost, limit), nil
  local head, at, others, oldest, charged = string.match(call('HGET', window, 'state') or '', STATE)
  at, others, charged = tonumber(at), tonumber(others), tonumber(charged)
  if at ~= current then -- within one bucket nothing leaves the window
    inside = contents(window, current, at, charged)
    rolls[i], oldest, charged = inside, inside.live[1] or current, inside.units[current] or 0
    others, inside.last = inside.sum - charged, at and at < current and at >= current - buckets and at or current
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
  heads[i], counts[i], costs[i] = head, charged, units -- formatting numbers is slow, so the text of the head is reused
  reply[2 * i], reply[2 * i + 1] = others + charged, (oldest + buckets + 1) * length - now
end
reply[1] = wait
for i, window in ipairs(windows) do
  local roll, units = rolls[i], wait == 0 and i >= first and costs[i] or 0
  if units > 0 or roll and roll.moved then
    call('HSET', window, 'state', heads[i] .. ' ' .. counts[i] + units)
    reply[2 * i] = reply[2 * i] + units
    if roll then
      call('HSET', window, roll.last, roll.units[roll.last] or 0)
      call('HDEL', window, unpack(roll.gone))
      call('PEXPIRE', window, (buckets + 1) * tonumber(ARGV[3 * i + 3]))
    end
  end
end
return reply
