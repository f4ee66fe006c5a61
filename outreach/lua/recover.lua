-- Takes over reservations whose lease has expired: new token, new owner, new lease.
-- KEYS  1 leases ZSET, 2 reservations HASH, 3 token STRING
-- ARGV  1 now_ms in tests, or "" for the server's clock, 2 worker, 3 lease_ms, 4 maximum number of touches
-- Returns {token, {inbox, touch, ...}}
-- Atomic, so that exactly one of several workers recovers a touch, and the previous owner's token is void from then on.
local LEASES, RESERVATIONS, TOKEN = unpack(KEYS)
local test_now, worker, lease, most = unpack(ARGV)
local time = redis.call('TIME')
local now = tonumber(test_now) or time[1] * 1000 + math.floor(time[2] / 1000)
local token = string.format('%.0f', math.max((tonumber(redis.call('GET', TOKEN)) or 0) + 1, now * 1000))

local recovered = {}
for _, touch in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, most)) do
  local inbox = string.match(redis.call('HGET', RESERVATIONS, touch), '|(%d+)|')
  redis.call('HSET', RESERVATIONS, touch, token .. '|' .. inbox .. '|' .. worker)
  redis.call('ZADD', LEASES, now + lease, touch)
  recovered[#recovered + 1], recovered[#recovered + 2] = inbox, touch
end
if #recovered > 0 then redis.call('SET', TOKEN, token) end
return {token, recovered}
