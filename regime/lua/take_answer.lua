-- Returns the cached answer and, when it is stale, makes one caller rebuild it.
-- KEYS  1 cached answer; 2 number of the newest load; 3 lease to rebuild the answer
-- ARGV  1 now in Unix seconds; 2 seconds that an answer is fresh; 3 lease in ms; 4 first line of the answer that the
--       caller still holds, '' for none
-- Returns {answer, '' when it is the one that the caller holds, false for none; number of the newest load;
--          1 when the caller must rebuild it else 0}
-- Atomic, so that exactly one of many callers rebuilds it.
local answer, loads, lease = KEYS[1], KEYS[2], KEYS[3]
local now, fresh_seconds, lease_ms, held = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]

local kept = redis.call('GET', answer)
local generation = tonumber(redis.call('GET', loads) or 0)
local made_at, made_after = string.match(kept or '', '^%[([%d.]+),(%d+)%]\n')
local age = now - (tonumber(made_at) or 0)
local is_fresh = tonumber(made_after) == generation and age >= 0 and age < fresh_seconds
local given = kept
if kept and held ~= '' and string.sub(kept, 1, #held) == held then given = '' end
-- A lease that was taken before the newest load counts for nothing: the answer it brings is out of date.
if is_fresh or redis.call('GET', lease) == tostring(generation) then return {given, generation, 0} end
redis.call('SET', lease, generation, 'PX', lease_ms)
return {given, generation, 1}
