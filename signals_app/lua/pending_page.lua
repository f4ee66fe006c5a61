-- Reads a page of the pending entries of a group with symbol and signal_id, for display.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] exclusive start id   ARGV[3] maximum entries   ARGV[4] consumer, '' for any
-- Returns {id, consumer, idle time in ms, deliveries, symbol, signal_id} for each, oldest first; the last two are
-- truncated at 80 bytes, and empty if the entry has none, was deleted, or is too far from the others.
-- One read: it saves a round trip per entry and returns no payload. Pending entries are close together, so a few range
-- reads find them; a page that refreshes itself must not cost one command per entry.
local stream = KEYS[1]
local group, after, most, consumer = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local READS, STRETCH = 3, 300

local asked = {'XPENDING', stream, group, '(' .. after, '+', most}
if consumer ~= '' then
  asked[#asked + 1] = consumer
end
local rows = redis.call(unpack(asked))

local function shown(entry)
  local found = {symbol = '', signal_id = ''}
  for index = 1, #entry[2], 2 do
    if found[entry[2][index]] then
      found[entry[2][index]] = string.sub(entry[2][index + 1], 1, 80)
    end
  end
  return found
end

local entries, reads, page = {}, 0, {}
for _, row in ipairs(rows) do
  if entries[row[1]] == nil and reads < READS then
    reads = reads + 1
    entries[row[1]] = {symbol = '', signal_id = ''}
    for _, entry in ipairs(redis.call('XRANGE', stream, row[1], rows[#rows][1], 'COUNT', STRETCH)) do
      entries[entry[1]] = shown(entry)
    end
  end
  local found = entries[row[1]] or {symbol = '', signal_id = ''}
  page[#page + 1] = {row[1], row[2], row[3], row[4], found.symbol, found.signal_id}
end
return page
