-- Which collection is valid, and must the caller build a new one?
-- KEYS  1 pointer hash; 2 build lease
-- ARGV  1 now in Unix seconds; 2 age in seconds from which a collection is rebuilt, '' = the caller never builds;
--       3 lease in ms; 4 token of the caller; 5 a version that the caller found gone, or ''
-- Returns {version or '', built_at or '', 1 when the lease is now the caller's else 0}
-- Atomic, so that exactly one of many callers builds.
local pointer, lease = KEYS[1], KEYS[2]
local now, max_age, lease_ms, token, gone = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local held = redis.call('HMGET', pointer, 'collection', 'built_at')
local version, built_at = held[1] or '', held[2] or ''
local is_old = version == gone or version == '' or now - (tonumber(built_at) or 0) >= (max_age or math.huge)
if max_age and is_old and redis.call('SET', lease, token, 'NX', 'PX', lease_ms) then return {version, built_at, 1} end
return {version, built_at, 0}
