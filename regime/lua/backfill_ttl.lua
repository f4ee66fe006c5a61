-- Sets the remaining TTL on states without expiry, or with one more than a day ahead.
-- KEYS  the state hashes
-- ARGV  1 now in ms, '' for the server's time; 2 life in ms; 3 age in ms that a state without computed_at is assumed
--       to have, '' for none; 4 '1' to count only
-- Returns {without expiry, fixed, deleted because past their life, capped, left alone}
-- Atomic, so that a state which a writer renews at this moment is not cut short or deleted.
local now_ms, life_ms, assumed_ms, is_dry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
if not now_ms then
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end
local without, fixed, expired, capped, left = 0, 0, 0, 0, 0

local function ms_of(text) -- as in decimals.py: no spaces, no 0x1, no inf
  local seconds = not string.find(text, '[^%d.eE+-]') and tonumber(text)
  return seconds and math.abs(seconds) < math.huge and seconds * 1000
end

local function stamps(key) -- the texts of computed_at and backfilled_at, false for none
  local held = redis.pcall('HMGET', key, 'computed_at', 'backfilled_at')
  if held.err then return '', false end -- no hash
  return held[1], held[2]
end

local function is_marked(key, ends_ms) -- by an earlier backfill, and not written again since, as in freshness.py
  local stamp, marked = stamps(key)
  if stamp or not marked then return false end
  local marked_ms = ms_of(marked)
  return not marked_ms or math.abs(ends_ms - life_ms - marked_ms) < 1.5
end

local function end_of(key) -- and whether the age is unknown: no age is assumed for a stamp that cannot be read
  local stamp = stamps(key)
  local stamp_ms = stamp and ms_of(stamp) or not stamp and assumed_ms and now_ms - assumed_ms
  return math.min(stamp_ms or now_ms, now_ms) + life_ms, not stamp_ms
end

local function give(key)
  local ends_ms, is_unknown = end_of(key)
  if ends_ms <= now_ms then return is_dry or redis.call('DEL', key), true end
  if is_dry then return end
  if is_unknown then redis.pcall('HSET', key, 'backfilled_at', string.format('%.3f', now_ms / 1000))
  elseif assumed_ms then redis.call('HDEL', key, 'backfilled_at') end
  redis.call('PEXPIREAT', key, string.format('%.0f', ends_ms))
end

for _, key in ipairs(KEYS) do
  local ends_ms = redis.call('PEXPIRETIME', key)
  local is_long = ends_ms > now_ms + life_ms
  if ends_ms == -1 then without = without + 1 end
  if ends_ms == -1 or is_long or (assumed_ms and is_marked(key, ends_ms)) then
    local _, is_deleted = give(key)
    if is_deleted then expired = expired + 1
    elseif is_long then capped = capped + 1
    else fixed = fixed + 1 end
  elseif ends_ms >= 0 then left = left + 1 end
end
return {without, fixed, expired, capped, left}
