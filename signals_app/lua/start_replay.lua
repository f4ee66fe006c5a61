-- Creates a replay group for one range of the stream, or sets a finished one to a new range.
-- KEYS[1] stream   KEYS[2] hash of replay group -> last entry id of its range   KEYS[3] hash of the groups that are served
-- ARGV[1] group   ARGV[2] id just before the range   ARGV[3] last id of the range   ARGV[4] id that no entry reaches
-- Returns 'started'; 'other' when the group exists and is no replay group; 'busy' when its last range is not finished.
-- Atomic: a consumer must not see the group without the end of its range.
local stream, ends, members = KEYS[1], KEYS[2], KEYS[3]
local name, before, last, beyond = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local group
if redis.call('EXISTS', stream) == 1 then
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local one = {}
    for index = 1, #flat, 2 do
      one[flat[index]] = flat[index + 1]
    end
    group = one.name == name and one or group
  end
end
if not group then
  redis.call('XGROUP', 'CREATE', stream, name, before, 'MKSTREAM')
elseif redis.call('HEXISTS', ends, name) == 0 then
  return 'other'
elseif group.pending > 0 or group['last-delivered-id'] ~= beyond then
  return 'busy'
else
  redis.call('XGROUP', 'SETID', stream, name, before)
end
redis.call('HSET', ends, name, last)
redis.call('HSET', members, name, 'served')
return 'started'
