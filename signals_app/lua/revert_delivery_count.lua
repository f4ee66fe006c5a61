-- Takes back the last delivery of entries that a consumer holds: what their handler needs was down, so it did not count.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] consumer   ARGV[3...] entry id, number of deliveries to set, ...
-- Returns how many were set; what another consumer has claimed meanwhile is left alone.
-- Atomic: an entry must not be taken from the consumer that claimed it between look and claim.
local stream = KEYS[1]
local group, consumer = ARGV[1], ARGV[2]

local set = 0
for index = 3, #ARGV, 2 do
  local id, deliveries = ARGV[index], ARGV[index + 1]
  if #redis.call('XPENDING', stream, group, id, id, 1, consumer) == 1 then
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', deliveries, 'JUSTID')
    set = set + 1
  end
end
return set
