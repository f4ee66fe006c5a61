-- Charges a request to all windows of its subject, or to none of them.
-- KEYS  per policy: the hash of that window. Fields: bucket number -> units charged in it; `at`, the bucket in which
--       the others were last looked through; `before`, their sum then; `oldest`, the first bucket of all
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
  local current = math.floor(now / length)
  local at, before, oldest, charged = unpack(call('HMGET', window, 'at', 'before', 'oldest', current))
  local used = (tonumber(before) or 0) + (tonumber(charged) or 0) -- within one bucket nothing leaves the window
  if tonumber(at) ~= current then swept[i], used, oldest = sweep(window, current - buckets) end
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
  local used, units = reply[3 * i - 1], math.min(cost, limit)
  call('HINCRBY', window, current, units)
  if swept[i] then
    local before = used - (swept[i].units[current] or 0)
    if #swept[i].gone > 0 then call('HDEL', window, unpack(swept[i].gone)) end
    call('HSET', window, 'at', current, 'before', before, 'oldest', swept[i].live[1] or current)
    call('PEXPIRE', window, (buckets + 1) * length)
  end
  reply[3 * i - 1] = used + units
end
return reply
