-- Reverts the last delivery in the delivery counts of entries, because a dependency of the handler was down.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] consumer   ARGV[3...] entry id, delivery count to set, ...
-- Returns the number changed; entries that another consumer has claimed meanwhile are skipped.
-- Atomic: an entry must not be taken from a consumer that claimed it between check and change.
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
