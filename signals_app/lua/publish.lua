-- Adds a batch of events, all or none, and stores its checkpoint.
-- KEYS[1] stream   KEYS[2] string: checkpoint of the last batch and its entry ids
-- ARGV[1] hard cap   ARGV[2] expected current checkpoint, '*' for any lower number   ARGV[3] checkpoint of this batch (no spaces)
-- ARGV[4] TTL of the checkpoint in ms, 0 for none   ARGV[5] number of events
-- ARGV[6...] per event: number of arguments, then field, value, ...
-- Returns {'added' or 'repeated', length, ids joined by spaces}, {'full', length} or {'moved', length, current checkpoint}.
-- Atomic: checkpoint and entries must be written together, or a batch whose reply was lost would be added twice.
local stream, checkpoint_key = KEYS[1], KEYS[2]
local hard_cap, before, checkpoint, ttl_ms, events = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local length = redis.call('XLEN', stream)
local held = redis.call('GET', checkpoint_key) or ''
local held_checkpoint = string.match(held, '^%S*')
if held_checkpoint == checkpoint then
  return {'repeated', length, string.sub(held, #checkpoint + 2)}
end
local is_late = before == '*' and (tonumber(held_checkpoint) or 0) > tonumber(checkpoint)  -- abandoned by the publisher and delayed by the network
if is_late or before ~= '*' and held_checkpoint ~= before then
  return {'moved', length, held_checkpoint}
end
if length + events > hard_cap then
  return {'full', length}
end
local ids, at = {}, 6
for event = 1, events do
  local last = at + tonumber(ARGV[at])
  ids[event] = redis.call('XADD', stream, '*', unpack(ARGV, at + 1, last))
  at = last + 1
end
local joined = table.concat(ids, ' ')
if ttl_ms > 0 then
  redis.call('SET', checkpoint_key, checkpoint .. ' ' .. joined, 'PX', ttl_ms)
else
  redis.call('SET', checkpoint_key, checkpoint .. ' ' .. joined)
end
return {'added', length + events, joined}
