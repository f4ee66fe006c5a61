-- Writes states and their expiry.
-- KEYS  the state hashes
-- ARGV  1 now in ms, '' for the server's time; 2 life in ms; 3 how far in the future a stamp may be, in ms;
--       4 field names, separated by commas; then for each key its computed_at in Unix seconds, its scores
--       in the order of 4, separated by commas, empty for none, and its data_through, empty for none
-- Returns for each key 1 written, 0 a newer state is there, -1 the state is past its life
-- Atomic, so that no key is ever without its expiry and of two writers the newer state wins.
local now_ms, life_ms, future_ms, names = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time = now_ms and {now_ms / 1000, 0} or redis.call('TIME')
now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local full = {'computed_at', ''} -- one table for all keys: making it is a third of the work
for name in string.gmatch(names, '[^,]+') do full[#full + 1] = name; full[#full + 1] = '' end

local function hash_of(stamp, scores)
  local place, some = 2, {'computed_at', stamp}
  full[2] = stamp
  for score in string.gmatch(scores, '[^,]+') do place = place + 2; full[place] = score end
  if place == #full then return full end
  place = 3
  for score in string.gmatch(scores .. ',', '([^,]*),') do
    if score ~= '' then some[#some + 1] = full[place]; some[#some + 1] = score end
    place = place + 2
  end
  return some
end

local function ms_of(text) -- as in decimals.py: no spaces, no 0x1, no inf
  local seconds = not string.find(text, '[^%d.eE+-]') and tonumber(text)
  return seconds and math.abs(seconds) < math.huge and seconds * 1000
end

local function known_ms(key, stamp, marked) -- when the state there was computed, as in freshness.py; 0 for unknown
  if stamp then return ms_of(stamp) or 0 end
  local ends_ms = redis.call('PEXPIRETIME', key)
  local made_ms = ends_ms - life_ms
  local marked_ms = marked and (ms_of(marked) or made_ms)
  if ends_ms < 0 or marked_ms and math.abs(made_ms - marked_ms) < 1.5 then return 0 end
  return made_ms
end

local function write(key, hash, through)
  redis.call('HSET', key, unpack(hash))
  if through ~= '' then redis.call('HSET', key, 'data_through', through) end
end

local function put(key, stamp, scores, through)
  local stamp_ms, held = tonumber(stamp) * 1000, redis.pcall('HMGET', key, 'computed_at', 'backfilled_at')
  if stamp_ms + life_ms <= now_ms then return -1 end
  if held.err then redis.call('DEL', key); held = {} end -- no hash
  local held_ms = known_ms(key, held[1], held[2])
  if held_ms > stamp_ms and held_ms <= now_ms + future_ms then return 0 end -- a stamp far ahead protects nothing
  local hash = hash_of(stamp, scores)
  write(key, hash, through)
  if redis.call('HLEN', key) ~= #hash / 2 + (through == '' and 0 or 1) then redis.call('DEL', key); write(key, hash, through) end
  redis.call('PEXPIREAT', key, string.format('%.0f', math.min(stamp_ms, now_ms) + life_ms))
  return 1
end

local outcomes = {}
for i, key in ipairs(KEYS) do outcomes[i] = put(key, ARGV[2 + 3 * i], ARGV[3 + 3 * i], ARGV[4 + 3 * i]) end
return outcomes
