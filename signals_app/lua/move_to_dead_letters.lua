-- Moves an entry that a consumer holds to the dead letters and acknowledges it. The oldest letters beyond the cap are deleted.
-- KEYS[1] stream   KEYS[2] stream of dead letters
-- ARGV[1] group   ARGV[2] consumer   ARGV[3] entry id   ARGV[4] reason   ARGV[5] delivery count
-- ARGV[6] cap of the dead letters, in whole nodes of the stream (about 100 letters)
-- The fields of the letter come last, so that fields of the same name in the entry can be distinguished.
-- Fields beyond 3,500 are stored in dead_rest, a JSON array of field, value, ...
-- Returns the id of the dead letter, or false when the consumer no longer holds the entry.
-- Atomic: interrupted between the two, an entry would be lost or dead-lettered twice.
local stream, dead = KEYS[1], KEYS[2]
local group, consumer, id, reason, deliveries, cap = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local most_values = 7000  -- unpack() takes fewer than 8,000

if #redis.call('XPENDING', stream, group, id, id, 1, consumer) == 0 then
  return false
end
local entry = redis.call('XRANGE', stream, id, id)[1]
local fields, rest = {}, {}
for _, value in ipairs(entry and entry[2] or {}) do
  local kept = #fields < most_values and fields or rest
  kept[#kept + 1] = value
end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, value in ipairs({
  'dead_reason', reason, 'dead_source_id', id, 'dead_deliveries', deliveries, 'dead_at', now_ms,
}) do
  fields[#fields + 1] = value
end
if #rest > 0 then  -- cjson keeps bytes that are not UTF-8, so nothing is lost
  fields[#fields + 1] = 'dead_rest'
  fields[#fields + 1] = cjson.encode(rest)
end
-- Added first: if memory is exhausted, XADD fails and the entry stays pending.
local letter = redis.call('XADD', dead, 'MAXLEN', '~', cap, '*', unpack(fields))
redis.call('XACK', stream, group, id)
return letter
