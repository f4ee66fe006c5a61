-- Gives states without expiry, or with one past a day, their remaining life.
-- KEYS  the state hashes
-- ARGV  1 now in ms, '' for the server's time; 2 life in ms; 3 age in ms that a state without stamp is vouched to
--       have, '' for none; 4 '1' to count only
-- Returns {without expiry, fixed, deleted because past their life, capped, left alone}
-- Atomic, so that a state which a writer renews at this moment is not cut short or deleted.
local now_ms, life_ms, vouched_ms, is_dry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
if not now_ms then
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end
local without, fixed, expired, capped, left = 0, 0, 0, 0, 0

local function number(key, field)
  local text = redis.pcall('HGET', key, field)
  local value = type(text) == 'string' and tonumber(text)
  return value and value == value and math.abs(value) < 1e15 and value * 1000 or nil
end

local function is_marked(key, ttl_ms) -- by an earlier backfill, and not written again since
  local marked_ms = number(key, 'backfilled_at')
  return marked_ms and not number(key, 'computed_at') and math.abs(now_ms + ttl_ms - life_ms - marked_ms) < 1000
end

local function end_of(key)
  local stamp_ms = number(key, 'computed_at') or vouched_ms and now_ms - vouched_ms
  return math.min(stamp_ms or now_ms, now_ms) + life_ms, not stamp_ms
end

local function give(key)
  local ends_ms, is_unknown = end_of(key)
  if ends_ms <= now_ms then return is_dry or redis.call('DEL', key), true end
  if is_dry then return end
  if is_unknown then redis.pcall('HSET', key, 'backfilled_at', string.format('%.3f', now_ms / 1000)) end
  if vouched_ms then redis.pcall('HDEL', key, 'backfilled_at') end
  redis.call('PEXPIREAT', key, string.format('%.0f', ends_ms))
end

for _, key in ipairs(KEYS) do
  local ttl_ms = redis.call('PTTL', key)
  if ttl_ms == -1 then without = without + 1 end
  if ttl_ms == -1 or ttl_ms > life_ms or (vouched_ms and is_marked(key, ttl_ms)) then
    local _, is_deleted = give(key)
    if is_deleted then expired = expired + 1
    elseif ttl_ms > life_ms then capped = capped + 1
    else fixed = fixed + 1 end
  elseif ttl_ms >= 0 then left = left + 1 end
end
return {without, fixed, expired, capped, left}
