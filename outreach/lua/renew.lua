-- A worker's heartbeat: records that it is alive and renews the leases of the touches it holds.
-- KEYS  1 leases ZSET, 2 reservations HASH, 3 workers ZSET
-- ARGV  1 now_ms in tests, or "" for the server's clock, 2 worker, 3 lease_ms, then for each touch: id, token
-- Returns the number of leases renewed; fewer than requested means that another worker has taken some over.
-- Atomic, because a lease taken over between the check and the renewal would have two owners.
local LEASES, RESERVATIONS, WORKERS = unpack(KEYS)
local test_now, worker, lease = unpack(ARGV, 1, 3)
local time = redis.call('TIME')
local now = tonumber(test_now) or time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZADD', WORKERS, now, worker)
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now - 86400000)
local renewed = 0
for at = 4, #ARGV, 2 do
  local touch, token = ARGV[at], ARGV[at + 1]
  local held = redis.call('HGET', RESERVATIONS, touch)
  if held and held:sub(1, #token + 1) == token .. '|' then
    redis.call('ZADD', LEASES, 'XX', now + lease, touch)
    renewed = renewed + 1
  end
end
return renewed
