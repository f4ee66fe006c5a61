-- Removes consumers that are expired, hold nothing and have been idle for long, so that names do not accumulate.
-- KEYS[1] stream   KEYS[2] hash of '<group> <consumer>' -> heartbeat, '<group> <consumer> died' -> its last expiry
-- ARGV[1] group   ARGV[2] minimum idle time in ms
-- Returns the names removed.
-- Atomic: XGROUP DELCONSUMER destroys pending entries, so the consumer must have none at that moment.
local stream, members = KEYS[1], KEYS[2]
local group, min_idle_ms = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local removed = {}
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local consumer = {}
  for index = 1, #flat, 2 do
    consumer[flat[index]] = flat[index + 1]
  end
  local member = group .. ' ' .. consumer.name
  local alive_until = string.match(redis.call('HGET', members, member) or '', '^%d+')
  local is_alive = alive_until and tonumber(alive_until) > now_ms
  if consumer.pending == 0 and consumer.idle >= min_idle_ms and not is_alive then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer.name)
    redis.call('HDEL', members, member, member .. ' died')
    removed[#removed + 1] = consumer.name
  end
end
return removed
