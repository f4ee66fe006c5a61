-- Adds a batch of events, all or none, and remembers having done so.
-- KEYS[1] stream   KEYS[2] string with the mark of the last batch, and its entry ids
-- ARGV[1] hard cap   ARGV[2] mark that must be in place, '*' for any   ARGV[3] mark of this batch (no spaces)
-- ARGV[4] TTL of the mark in ms, 0 for none   ARGV[5...] per event: number of arguments, then field, value, ...
-- Returns {'added' or 'repeated', length, ids joined by spaces}, {'full', length} or {'moved', length, mark in place}.
-- Atomic: the mark must stand exactly when the entries do, or a batch whose reply was lost would be added twice.
local stream, marks = KEYS[1], KEYS[2]
local hard_cap, before, mark, ttl_ms = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

local length = redis.call('XLEN', stream)
local held = redis.call('GET', marks) or ''
local held_mark = string.match(held, '^%S*')
if held_mark == mark then
  return {'repeated', length, string.sub(held, #mark + 2)}
end
if before ~= '*' and held_mark ~= before then
  return {'moved', length, held_mark}
end

local starts, at = {}, 5
while at <= #ARGV do
  starts[#starts + 1] = at
  at = at + tonumber(ARGV[at]) + 1
end
if length + #starts > hard_cap then
  return {'full', length}
end

local ids = {}
for index, start in ipairs(starts) do
  ids[index] = redis.call('XADD', stream, '*', unpack(ARGV, start + 1, start + tonumber(ARGV[start])))
end
local joined = table.concat(ids, ' ')
if ttl_ms > 0 then
  redis.call('SET', marks, mark .. ' ' .. joined, 'PX', ttl_ms)
else
  redis.call('SET', marks, mark .. ' ' .. joined)
end
return {'added', length + #ids, joined}
