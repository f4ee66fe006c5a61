-- Records that the changes up to a cycle were requested; returns the cycle of the request before.
-- KEYS  1 hash: timeframe -> 'cycle of the request before,cycle of the last request'
-- ARGV  1 timeframe; 2 number of the newest cycle
-- Returns the cycle of the request before, the same for every request about one cycle
-- Atomic, so that concurrent requests get the same answer.
local derived = KEYS[1]
local timeframe, newest = ARGV[1], tonumber(ARGV[2])

local before, last = string.match(redis.call('HGET', derived, timeframe) or '0,0', '^(%d+),(%d+)$')
before, last = tonumber(before) or 0, tonumber(last) or 0
if last > newest then before, last = 0, 0 end -- the dominance log was lost and counts from the start again
if last ~= newest then
  before = last
  redis.call('HSET', derived, timeframe, string.format('%d,%d', before, newest))
end
return before
