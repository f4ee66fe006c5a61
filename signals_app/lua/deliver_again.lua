-- Redelivers entries to the consumer that holds them, and increments their delivery counts.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] consumer   ARGV[3...] entry ids
-- Returns {id, delivery count, {field, value, ...}} for each entry still held; {id, 0} for one that was deleted
-- from the stream, which is thereby no longer pending.
-- Atomic: an entry that another consumer has claimed meanwhile must not be taken back.
local stream = KEYS[1]
local group, consumer = ARGV[1], ARGV[2]

local delivered = {}
for index = 3, #ARGV do
  local id = ARGV[index]
  local held = redis.call('XPENDING', stream, group, id, id, 1, consumer)[1]
  if held then
    local entry = redis.call('XCLAIM', stream, group, consumer, 0, id)[1]
    if entry then
      delivered[#delivered + 1] = {id, held[4] + 1, entry[2]}
    else
      redis.call('XACK', stream, group, id)
      delivered[#delivered + 1] = {id, 0}
    end
  end
end
return delivered
