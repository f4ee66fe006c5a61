-- Makes a new collection, and with it the dominance log of an ended cycle, the valid ones.
-- KEYS  1 pointer hash; 2 new collection; 3 collection it replaces; 4 new dominance log; 5 log it replaces
-- ARGV  1 version of the collection, 2 version of the dominance log that the new ones were made from, '' for none;
--       3 seconds that the replaced collection stays; then field, value, ... for the pointer
-- Returns 1 when swapped, 0 when another was swapped in meanwhile, -1 when the new collection is gone
-- Atomic, so that of two cycles that end at once neither loses its states: the second merges again.
local pointer, new_collection, old_collection, new_log, old_log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local from_collection, from_log, stays_seconds = ARGV[1], ARGV[2], ARGV[3]

local held = redis.call('HMGET', pointer, 'collection', 'ledger')
if (held[1] or '') ~= from_collection or (held[2] or '') ~= from_log then return 0 end
if redis.call('EXISTS', new_collection) == 0 then return -1 end
redis.call('HSET', pointer, unpack(ARGV, 4))
if old_collection ~= new_collection then redis.call('EXPIRE', old_collection, stays_seconds) end
if old_log ~= new_log then redis.call('DEL', old_log) end
return 1
