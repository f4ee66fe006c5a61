-- Shows a page of what a group has in hand, with the little of each entry that a person looks for.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] id after which to start   ARGV[3] most entries   ARGV[4] consumer, '' for any
-- Returns {id, consumer, idle time in ms, deliveries, symbol, signal_id} for each, oldest first; the last two are cut
-- at 80 bytes, and empty where the entry has none or is gone.
-- Atomic by being one read; it saves a round trip an entry and sends no payload.
local stream = KEYS[1]
local group, after, most, consumer = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local asked = {'XPENDING', stream, group, '(' .. after, '+', most}
if consumer ~= '' then
  asked[#asked + 1] = consumer
end
local page = {}
for _, row in ipairs(redis.call(unpack(asked))) do
  local entry = redis.call('XRANGE', stream, row[1], row[1])[1]
  local shown = {symbol = '', signal_id = ''}
  local fields = entry and entry[2] or {}
  for index = 1, #fields, 2 do
    if shown[fields[index]] then
      shown[fields[index]] = string.sub(fields[index + 1], 1, 80)
    end
  end
  page[#page + 1] = {row[1], row[2], row[3], row[4], shown.symbol, shown.signal_id}
end
return page
