-- Writes states with their expiry; the newer state wins.
-- KEYS  the state hashes, a key may come twice, and then for each a staged hash, which becomes the state or is deleted; or
--       one state hash alone
-- ARGV  1 now in ms, '' for the server's time; 2 life of a state in ms; 3 how far in the future a stamp may be, in ms;
--       then for each key when the state was computed, in Unix seconds; for one hash alone its fields instead:
--       'computed_at', Unix seconds, field, value, ...
-- Returns for each key 1 written, 0 a newer state is stored, -1 the state is past its life
-- Atomic, so that no key is ever without its expiry and no writer replaces a newer state. RENAME, because Lua takes twice
-- the time of a plain HSET to hand the fields over.
local now_ms, life_ms, future_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now_ms then
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function ms_of(text) -- as in avo_project/lib/decimals.py: no spaces, no 0x1, no inf
  local seconds = not string.find(text, '[^%d.eE+-]') and tonumber(text)
  return seconds and math.abs(seconds) < math.huge and seconds * 1000
end

local function stored_ms(key) -- when the stored state was computed, as in freshness.py; 0 for unknown
  local stamp = redis.pcall('HGET', key, 'computed_at')
  if type(stamp) == 'string' then return ms_of(stamp) or 0 end
  if stamp then return 0 end -- the error reply for a key of another type
  local ends_ms = redis.call('PEXPIRETIME', key)
  if ends_ms < 0 then return 0 end
  local made_ms, marked = ends_ms - life_ms, redis.call('HGET', key, 'backfilled_at')
  if not marked then return made_ms end
  local marked_ms = ms_of(marked)
  return marked_ms and math.abs(made_ms - marked_ms) >= 1.5 and made_ms or 0
end

local function put(key, stamp, staged)
  local stamp_ms = tonumber(stamp) * 1000
  if stamp_ms + life_ms <= now_ms then return -1 end
  local held_ms = stored_ms(key)
  if held_ms > stamp_ms and held_ms <= now_ms + future_ms then return 0 end -- a stamp far ahead protects nothing
  if staged then
    redis.call('RENAME', staged, key)
  else
    redis.call('DEL', key)
    redis.call('HSET', key, unpack(ARGV, 4))
  end
  redis.call('PEXPIREAT', key, string.format('%.0f', math.min(stamp_ms, now_ms) + life_ms))
  return 1
end

if #KEYS == 1 then return {put(KEYS[1], ARGV[5])} end
local outcomes, count = {}, #KEYS / 2
for i = 1, count do
  outcomes[i] = put(KEYS[i], ARGV[3 + i], KEYS[count + i])
  if outcomes[i] ~= 1 then redis.call('DEL', KEYS[count + i]) end
end
return outcomes
