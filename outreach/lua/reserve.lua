-- Leases up to `wanted` touches of the named lanes to one worker; from each lane only what all its limits allow now.
-- KEYS  1 ready ZSET, 2 leases ZSET, 3 reservations HASH, 4 token STRING, 5 wake LIST, 6 initialised STRING, 7 in flight HASH,
--       8 held HASH, 9 full SET, then for each lane: LIST, delayed ZSET, log LIST
-- ARGV  1 now_ms in tests, or "" for the server's clock, 2 worker, 3 lease_ms, 4 wanted, 5 maximum per lane, 6 lanes to look ahead,
--       then for each lane: inbox id, open_from_ms, open_until_ms and three times count, window_ms (count 0: no limit)
-- Returns {now_ms, token, initialised 1|0, first lease's end or '', {inbox, score, ...} first in ready, {inbox, touch, ...}}
-- Atomic, so that no two workers use the same capacity under a limit, and every touch is always in one structure.
local READY, LEASES, RESERVATIONS, TOKEN, WAKE, INITIALISED, IN_FLIGHT, HELD, FULL = unpack(KEYS, 1, 9)
local test_now, worker, lease, wanted, share, ahead = unpack(ARGV, 1, 6)
lease, wanted, share = tonumber(lease), tonumber(wanted), tonumber(share)
local time = redis.call('TIME')
local now = tonumber(test_now) or time[1] * 1000 + math.floor(time[2] / 1000)
local lease_ends = string.format('%.0f', now + lease) -- once: redis.call formats a number on every call
local token = string.format('%.0f', math.max((tonumber(redis.call('GET', TOKEN)) or 0) + 1, now * 1000))
local initialised = redis.call('EXISTS', INITIALISED) -- after data loss nothing is sent until the logs are restored, so that limits hold

local function free_at(log, limits, in_flight, held) -- the earliest next send, and whether it depends on what is in flight
  local at = math.max(now, held, tonumber(ARGV[limits]), now >= tonumber(ARGV[limits + 1]) and now + 1000 or 0)
  for pair = limits + 2, limits + 6, 2 do -- mirrors inbox_rules.decide
    local count = tonumber(ARGV[pair])
    if count > 0 and count <= in_flight then return now + lease, true end
    local stamp = count > 0 and redis.call('LINDEX', log, in_flight - count)
    if stamp then at = math.max(at, stamp + ARGV[pair + 1] + 1) end
  end
  return at, false
end
local inboxes, leased, leases = {}, {}, {}
for lane = 1, (#KEYS - 9) / 3 * initialised do inboxes[lane] = ARGV[9 * lane - 2] end
local in_flight_counts = inboxes[1] and redis.call('HMGET', IN_FLIGHT, unpack(inboxes))
local held = inboxes[1] and redis.call('HMGET', HELD, unpack(inboxes))
for lane, inbox in ipairs(inboxes) do
  if #leased >= 2 * wanted then break end
  local LANE, DELAYED, LOG = unpack(KEYS, 7 + lane * 3, 9 + lane * 3)
  local in_flight, held_until, before = tonumber(in_flight_counts[lane]) or 0, tonumber(held[lane]) or 0, #leased
  local want = math.min(share, wanted - #leased / 2)
  while want > 0 and free_at(LOG, 9 * lane - 1, in_flight + want - 1, held_until) > now do want = want - 1 end
  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
  local is_due = want > 0 and first and tonumber(first) <= now
  local touches = is_due and redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, want) or {}
  if is_due then redis.call('ZREM', DELAYED, unpack(touches)) end
  for _, touch in ipairs(#touches < want and redis.call('LPOP', LANE, want - #touches) or {}) do touches[#touches + 1] = touch end
  for _, touch in ipairs(touches) do
    if redis.call('HSETNX', RESERVATIONS, touch, token .. '|' .. inbox .. '|' .. worker) == 1 then
      leases[#leases + 1], leases[#leases + 2] = lease_ends, touch
      leased[#leased + 1], leased[#leased + 2] = inbox, touch
    end
  end
  local mine = (#leased - before) / 2
  if mine > 0 then redis.call('HINCRBY', IN_FLIGHT, inbox, mine) end
  local at, is_full = free_at(LOG, 9 * lane - 1, in_flight + mine, held_until) -- full: settle.lua schedules the lane when a slot is free
  if is_full then redis.call('SADD', FULL, inbox) end
  if redis.call('LLEN', LANE) > 0 then first = now
  elseif is_due then first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2] end
  if first then redis.call('ZADD', READY, math.max(at, first), inbox) else redis.call('ZREM', READY, inbox) end
end
if #leases > 0 then redis.call('ZADD', LEASES, unpack(leases)) redis.call('SET', TOKEN, token) end
local next = redis.call('ZRANGE', READY, 0, ahead - 1, 'WITHSCORES')
local more = #leased >= 2 * wanted and next[2] and tonumber(next[2]) <= now -- work is left: wake one more worker
if more and redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, next[1]) end
return {now, token, initialised, redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2] or '', next, leased}
