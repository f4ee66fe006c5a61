-- Ends reservations: each touch leaves the queue or waits until it is due, and sends are added to the inbox's log.
-- KEYS  1 ready ZSET, 2 leases ZSET, 3 reservations HASH, 4 in flight HASH, 5 full SET,
--       then for each lane: LIST, delayed ZSET, log LIST
-- ARGV  1 now_ms in tests, or "" for the server's clock, 2 maximum length of a log, 3 number of lanes, then their inbox ids,
--       then for each touch: its lane's number, id, token, due_ms, -1 (last in its lane) or "" (leaves),
--       ms since it was handed over or "" (it was not)
-- Returns the number still reserved under their token; the others are left unchanged.
-- Atomic, so that a touch is counted either as in flight or in the log.
local READY, LEASES, RESERVATIONS, IN_FLIGHT, FULL = unpack(KEYS, 1, 5)
local test_now, most, lanes = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(test_now) or time[1] * 1000 + math.floor(time[2] / 1000)

local ids, ended, by_lane = {}, {}, {}
for at = 5 + lanes, #ARGV, 5 do ids[#ids + 1] = ARGV[at] end
local held = redis.call('HMGET', RESERVATIONS, unpack(ids))
for number, touch in ipairs(ids) do
  local lane, _, token, due, ago = unpack(ARGV, 5 * number + lanes - 1, 5 * number + lanes + 3)
  if held[number] and held[number]:sub(1, #token + 1) == token .. '|' then
    local its = by_lane[lane] or {ended = 0, due = {}, behind = {}, sent = {}}
    by_lane[lane], its.ended, ended[#ended + 1] = its, its.ended + 1, touch
    if due == '-1' then its.behind[#its.behind + 1] = touch
    elseif due ~= '' then its.due[#its.due + 1], its.due[#its.due + 2] = due, touch end
    if ago ~= '' then its.sent[#its.sent + 1] = now - ago end
  end
end
if #ended == 0 then return 0 end
redis.call('HDEL', RESERVATIONS, unpack(ended))
redis.call('ZREM', LEASES, unpack(ended))

for lane, its in pairs(by_lane) do
  local LANE, DELAYED, LOG = unpack(KEYS, 3 + lane * 3, 5 + lane * 3)
  local inbox = ARGV[3 + lane]
  redis.call('HINCRBY', IN_FLIGHT, inbox, -its.ended)
  if #its.due > 0 then redis.call('ZADD', DELAYED, unpack(its.due)) end
  if #its.behind > 0 then redis.call('RPUSH', LANE, unpack(its.behind)) end
  if #its.sent > 0 then
    local last = tonumber(redis.call('LINDEX', LOG, -1)) or 0
    local text -- formatted once for sends with the same time
    for at, stamp in ipairs(its.sent) do -- never earlier than the last entry: the log stays sorted
      if stamp > last or not text then last = math.max(last, stamp) text = string.format('%.0f', last) end
      its.sent[at] = text
    end
    if redis.call('RPUSH', LOG, unpack(its.sent)) > tonumber(most) then redis.call('LTRIM', LOG, -most, -1) end
    redis.call('PEXPIRE', LOG, 86400001)
    local oldest = redis.call('LINDEX', LOG, 0)
    for _ = 0, #its.sent do -- drop entries older than a day, slightly faster than new ones arrive
      if tonumber(oldest) > now - 86400001 then break end
      redis.call('LPOP', LOG)
      oldest = redis.call('LINDEX', LOG, 0)
    end
  end
  -- A send that moves from in flight to the log leaves the lane's next send unchanged, unless the lane was full.
  if redis.call('SREM', FULL, inbox) == 1 or #its.sent < its.ended or #its.due > 0 then
    local first = redis.call('LLEN', LANE) > 0 and now or redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
    if first then redis.call('ZADD', READY, math.max(now, first), inbox) else redis.call('ZREM', READY, inbox) end
  end
end
return #ended
