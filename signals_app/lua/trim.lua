-- Trims the stream towards a length, but no entry that some group has not read and acknowledged.
-- KEYS[1] stream
-- ARGV[1] length to keep   ARGV[2] group that must exist, else nothing is trimmed   ARGV[3] maximum entries to trim
-- Returns {entries trimmed, length before}.
-- Atomic: no group may be created or set back between reading the positions and trimming.
local stream = KEYS[1]
local keep, required, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

local function is_before(left, right)
  local left_ms, left_seq = string.match(left, '(%d+)-(%d+)')
  local right_ms, right_seq = string.match(right, '(%d+)-(%d+)')
  if left_ms == right_ms then
    left_ms, right_ms = left_seq, right_seq
  end
  if #left_ms ~= #right_ms then  -- compared as text, because Lua numbers cannot hold 64 bits
    return #left_ms < #right_ms
  end
  return left_ms < right_ms
end

local length = redis.call('XLEN', stream)
if length <= keep then
  return {0, length}
end
local watermark, is_there = nil, false
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for index = 1, #flat, 2 do
    group[flat[index]] = flat[index + 1]
  end
  is_there = is_there or group.name == required
  local low = group['last-delivered-id']
  if group.pending > 0 then
    local oldest = redis.call('XPENDING', stream, group.name)[2]
    low = oldest and is_before(oldest, low) and oldest or low
  end
  watermark = watermark and is_before(watermark, low) and watermark or low
end
if not is_there then
  return {0, length}
end
return {redis.call('XTRIM', stream, 'MINID', '~', watermark, 'LIMIT', math.min(length - keep, most)), length}
