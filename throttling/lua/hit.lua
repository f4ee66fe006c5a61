-- Charges a request to all windows of its subject, or to none of them.
-- KEYS  per policy: the hash of that window. Fields: bucket number -> units charged in it; `used`, their sum,
--       which holds while the clock is in bucket `at`; `oldest`, the first bucket in that sum
-- ARGV  cost (0 only looks), buckets a window, now in ms ("" is the server's clock),
--       then per policy: limit, length of a bucket in ms, 1 if in shadow (counts, refuses nothing)
-- Returns ms to wait (0: charged), then per policy: units used, ms until the oldest comes back, bucket number
-- Atomic, because another caller could take the same unit between the check and the charge.
local windows, cost, buckets, now = KEYS, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local call, swept, reply, wait = redis.call, {}, {}, 0
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function sweep(window, first) -- what is still in the window, and the fields of what has left it
  local live, units, gone, used, fields = {}, {}, {}, 0, call('HGETALL', window)
  for f = 1, #fields, 2 do
    local bucket = tonumber(fields[f])
    if bucket and bucket >= first then
      live[#live + 1], units[bucket], used = bucket, fields[f + 1], used + fields[f + 1]
    elseif bucket then
      gone[#gone + 1] = fields[f]
    end
  end
  table.sort(live)
  return {live = live, units = units, gone = gone}, used, live[1]
end

for i, window in ipairs(windows) do
  local limit, length, shadow = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]), ARGV[3 * i + 3] == '1'
  local current, kept = math.floor(now / length), call('HMGET', window, 'at', 'used', 'oldest')
  local used, oldest = tonumber(kept[2]), tonumber(kept[3])
  if tonumber(kept[1]) ~= current then swept[i], used, oldest = sweep(window, current - buckets) end
  local missing = used + math.min(cost, limit) - limit
  local contents = missing > 0 and not shadow and (swept[i] or sweep(window, current - buckets)) or {live = {}}
  for _, bucket in ipairs(contents.live) do -- the oldest units come back first
    if missing > 0 then wait = math.max(wait, (bucket + buckets + 1) * length - now) end
    missing = missing - contents.units[bucket]
  end
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = used, ((oldest or current) + buckets + 1) * length - now, current
end
reply[1] = wait
if cost == 0 or wait > 0 then return reply end

for i, window in ipairs(windows) do
  local limit, length, current = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]), reply[3 * i + 1]
  local units = math.min(cost, limit)
  reply[3 * i - 1] = reply[3 * i - 1] + units
  call('HINCRBY', window, current, units)
  if not swept[i] then
    call('HINCRBY', window, 'used', units)
  else
    if #swept[i].gone > 0 then call('HDEL', window, unpack(swept[i].gone)) end
    call('HSET', window, 'at', current, 'used', reply[3 * i - 1], 'oldest', swept[i].live[1] or current)
    call('PEXPIRE', window, (buckets + 1) * length)
  end
end
return reply
