-- Finishes a replay: acknowledges entries beyond the range unhandled and moves the group to the end.
-- KEYS[1] stream   KEYS[2] hash of replay group -> last entry id of its range
-- ARGV[1] group   ARGV[2] last id of the range   ARGV[3] id that no entry reaches   ARGV[4...] ids beyond the range
-- Returns the number acknowledged; -1, with nothing changed, when the group has a new range.
-- Atomic: the end of an old range must not finish a new one.
local stream, ends = KEYS[1], KEYS[2]
local group, last, beyond = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', ends, group) ~= last then
  return -1
end
redis.call('XGROUP', 'SETID', stream, group, beyond)
local acknowledged = 0
for index = 4, #ARGV do
  acknowledged = acknowledged + redis.call('XACK', stream, group, ARGV[index])
end
return acknowledged
