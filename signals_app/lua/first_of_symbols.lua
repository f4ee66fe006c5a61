-- Finds the entries of a consumer that may be handled now, so that a group handles each symbol in order.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] consumer   ARGV[3] maximum entries   ARGV[4...] ids of entries
-- Returns {ids, ids}: those without an earlier pending entry of their symbol in the group, oldest first, and those that
-- the consumer does not hold. An entry without a symbol is never blocked.
-- One read. A group gets entries in order, so all earlier ones are acknowledged or pending. Scans the pending entries of
-- the group from the oldest on until enough are found: about 10 us each, so a consumer holds back a few hundred at most.
local stream, group, consumer, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local PAGE = 100

local function symbol_of(id)
  local entry, symbol = redis.call('XRANGE', stream, id, id)[1], nil
  for index = 1, entry and #entry[2] or 0, 2 do  -- the last one if repeated, as in the consumer
    if entry[2][index] == 'symbol' then
      symbol = entry[2][index + 1]
    end
  end
  return symbol
end

local asked, left = {}, #ARGV - 3
for index = 4, #ARGV do
  asked[ARGV[index]] = true
end

local first, has_earlier, from = {}, {}, '-'
local function examine(id, holder)
  local symbol = symbol_of(id)
  if asked[id] and holder == consumer then
    asked[id] = nil
    left = left - 1
    if not (symbol and has_earlier[symbol]) then
      first[#first + 1] = id
    end
  end
  if symbol then
    has_earlier[symbol] = true
  end
end

repeat
  local rows = redis.call('XPENDING', stream, group, from, '+', PAGE)
  for _, row in ipairs(rows) do
    if #first == most or left == 0 then
      return {first, {}}
    end
    examine(row[1], row[2])
    from = '(' .. row[1]
  end
until #rows < PAGE

local gone = {}
for id in pairs(asked) do
  gone[#gone + 1] = id
end
return {first, gone}
