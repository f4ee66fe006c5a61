-- Writes states and their expiry.
-- KEYS  the state hashes
-- ARGV  1 now in ms, '' for the server's time; 2 life in ms; 3 how far in the future a stamp may be, in ms;
--       4 field names, separated by commas; then for each key its computed_at in Unix seconds and its scores
--       in the order of 4, separated by commas, empty for none
-- Returns for each key 1 written, 0 a newer state is there, -1 the state is past its life
-- Atomic, so that no key is ever without its expiry and of two writers the newer state wins.
local now_ms, life_ms, future_ms, names = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if not now_ms then
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end
local fields = {}
for name in string.gmatch(names, '[^,]+') do fields[#fields + 1] = name end

local function held_ms(key) -- a stamp that is no number, or far in the future, protects nothing
  local stamp = redis.pcall('HGET', key, 'computed_at')
  local ms = type(stamp) == 'string' and (tonumber(stamp) or 0) * 1000
  return ms and ms <= now_ms + future_ms and ms or 0
end

local function put(key, stamp, scores)
  local stamp_ms = tonumber(stamp) * 1000
  if stamp_ms + life_ms <= now_ms then return -1 end
  if held_ms(key) > stamp_ms then return 0 end
  local hash, place = {'computed_at', stamp}, 0
  for score in string.gmatch(scores, '([^,]*),?') do
    place = place + 1
    if score ~= '' then hash[#hash + 1] = fields[place]; hash[#hash + 1] = score end
  end
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(hash))
  redis.call('PEXPIREAT', key, string.format('%.0f', math.min(stamp_ms, now_ms) + life_ms))
  return 1
end

local outcomes = {}
for i, key in ipairs(KEYS) do outcomes[i] = put(key, ARGV[3 + 2 * i], ARGV[4 + 2 * i]) end
return outcomes
