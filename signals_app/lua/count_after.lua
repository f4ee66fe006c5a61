-- Counts entries of the stream without returning them.
-- KEYS[1] stream
-- ARGV[1] id after which to count   ARGV[2] maximum to count
-- Returns {number counted, id of the last one counted or ''}.
-- One read; short pages keep other clients from waiting.
local stream = KEYS[1]
local after, most = ARGV[1], ARGV[2]

local entries = redis.call('XRANGE', stream, '(' .. after, '+', 'COUNT', most)
return {#entries, #entries > 0 and entries[#entries][1] or ''}
