-- Leases up to `wanted` touches of the given lanes to one worker; from each lane only what all its limits allow now.
-- KEYS  1 ready ZSET, 2 leases ZSET, 3 reservations HASH, 4 token STRING, 5 wake LIST, 6 intact STRING,
--       then for each lane: LIST, delayed ZSET, log LIST, state HASH
-- ARGV  1 now_ms or "" for the server's, 2 worker, 3 lease_ms, 4 wanted, 5 most from one lane, 6 lanes to look ahead,
--       then for each lane: inbox id, open_from_ms, open_until_ms and three times count, window_ms (count 0: no limit)
-- Returns {now_ms, token, intact 1|0, end of the first lease or '', {inbox, score, ...} first in ready, {inbox, touch, ...}}
-- Atomic, so that no two workers use the same room under a limit, and a touch is never outside of every structure.
local READY, LEASES, RESERVATIONS, TOKEN, WAKE, INTACT = unpack(KEYS, 1, 6)
local given, worker, lease, wanted, share, ahead = unpack(ARGV, 1, 6)
lease, wanted, share = tonumber(lease), tonumber(wanted), tonumber(share)
local time = redis.call('TIME')
local now = tonumber(given) or time[1] * 1000 + math.floor(time[2] / 1000)
local token = string.format('%.0f', math.max((tonumber(redis.call('GET', TOKEN)) or 0) + 1, now * 1000))

local function free_at(log, terms, in_flight, held) -- when the lane's next touch may go; mirrors inbox_rules.judge
  local at = math.max(now, held, tonumber(ARGV[terms]))
  if now >= tonumber(ARGV[terms + 1]) then at = math.max(at, now + 1000) end
  for pair = terms + 2, terms + 6, 2 do
    local count, window = tonumber(ARGV[pair]), tonumber(ARGV[pair + 1])
    if count > 0 and count <= in_flight then return now + lease end -- settle looks again as soon as there is room
    local stamp = count > 0 and redis.call('LINDEX', log, in_flight - count)
    if stamp then at = math.max(at, stamp + window + 1) end
  end
  return at
end

local leased, taken = {}, 0
local intact = redis.call('EXISTS', INTACT) -- after a loss nothing leaves until the logs are back, or limits would not hold
for lane = 1, (#KEYS - 6) / 4 * intact do
  if taken >= wanted then break end
  local LANE, DELAYED, LOG, STATE = unpack(KEYS, 3 + lane * 4, 6 + lane * 4)
  local terms = 9 * lane - 1
  local inbox, mine, delayed = ARGV[terms - 1], 0, true
  local state = redis.call('HMGET', STATE, 'in_flight', 'held_until_ms')
  local in_flight, held = tonumber(state[1]) or 0, tonumber(state[2]) or 0
  local at = free_at(LOG, terms, in_flight, held)
  while at <= now and mine < share and taken < wanted do
    local touch = delayed and redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 1)[1]
    if touch then redis.call('ZREM', DELAYED, touch) else delayed, touch = false, redis.call('LPOP', LANE) end
    if not touch then break end
    if redis.call('HSETNX', RESERVATIONS, touch, token .. '|' .. inbox .. '|' .. worker) == 1 then
      redis.call('ZADD', LEASES, now + lease, touch)
      mine, taken, leased[#leased + 1], leased[#leased + 2] = mine + 1, taken + 1, inbox, touch
      at = free_at(LOG, terms, in_flight + mine, held)
    end
  end
  if mine > 0 then redis.call('HINCRBY', STATE, 'in_flight', mine) end
  local first = redis.call('LLEN', LANE) > 0 and now or redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
  if first then redis.call('ZADD', READY, math.max(at, first), inbox) else redis.call('ZREM', READY, inbox) end
end
if taken > 0 then redis.call('SET', TOKEN, token) end
local next = redis.call('ZRANGE', READY, 0, ahead - 1, 'WITHSCORES')
local more = taken >= wanted and next[2] and tonumber(next[2]) <= now -- one more worker may help: wake it, and only it
if more and redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, next[1]) end
return {now, token, intact, redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2] or '', next, leased}
