-- Gives back what a hit charged: an answer that carried nothing new costs nothing.
-- KEYS  per policy: the hash of that window, as in hit.lua
-- ARGV  per policy: bucket number, units
-- Returns how many windows got their units back
-- Atomic, because a bucket that left its window meanwhile must not come back with a negative count.
local windows, given_back = KEYS, 0
for i, window in ipairs(windows) do
  local bucket, units = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  if redis.call('HEXISTS', window, bucket) == 1 then
    redis.call('HINCRBY', window, bucket, -units)
    if redis.call('HGET', window, 'at') ~= bucket then redis.call('HINCRBY', window, 'before', -units) end
    given_back = given_back + 1
  end
end
return given_back
