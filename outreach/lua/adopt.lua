-- Restores the leases of touches that the ledger has as `sending` and Redis has lost.
-- KEYS  1 leases ZSET, 2 reservations HASH, 3 in flight HASH
-- ARGV  1 now_ms in tests, or "" for the server's clock, 2 inbox id, 3 lease_ms, then for each touch: id, token
-- Returns the number of leases that were missing.
-- Atomic, because a reservation without a lease would never be recovered.
local LEASES, RESERVATIONS, IN_FLIGHT = unpack(KEYS)
local test_now, inbox, lease = unpack(ARGV, 1, 3)
local time = redis.call('TIME')
local now = tonumber(test_now) or time[1] * 1000 + math.floor(time[2] / 1000)

local adopted = 0
for at = 4, #ARGV, 2 do
  local touch, token = ARGV[at], ARGV[at + 1]
  if redis.call('HSETNX', RESERVATIONS, touch, token .. '|' .. inbox .. '|?') == 1 then
    redis.call('ZADD', LEASES, now + lease, touch)
    redis.call('HINCRBY', IN_FLIGHT, inbox, 1)
    adopted = adopted + 1
  end
end
return adopted
