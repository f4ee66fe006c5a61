-- Publishes one dead letter again, with its original fields, and removes it from the dead letters.
-- KEYS[1] stream   KEYS[2] stream of dead letters
-- ARGV[1] id of the letter   ARGV[2] hard cap of the stream
-- Returns the id of the new entry; 'gone' when the letter does not exist or has too many fields; 'full' at the hard cap.
-- Atomic: interrupted between the two, an event would be published twice or lost.
local stream, dead = KEYS[1], KEYS[2]
local letter_id, hard_cap = ARGV[1], tonumber(ARGV[2])
local added = {dead_reason = true, dead_source_id = true, dead_deliveries = true, dead_at = true}

local letter = redis.call('XRANGE', dead, letter_id, letter_id)[1]
if not letter then
  return 'gone'
end
if redis.call('XLEN', stream) >= hard_cap then
  return 'full'
end
local values = letter[2]
if values[#values - 1] == 'dead_rest' then
  return 'gone'
end
for index = #values - 1, 1, -2 do  -- the fields of the letter came last; earlier ones of the same name belong to the event
  if added[values[index]] then
    added[values[index]] = nil
    table.remove(values, index + 1)
    table.remove(values, index)
  end
end
local id = 'gone'
if #values > 0 then
  id = redis.call('XADD', stream, '*', unpack(values))
end
redis.call('XDEL', dead, letter_id)
return id
