-- Tells the server's time where the stream is: TIME by itself names no key, so a cluster would not know whom to ask.
-- KEYS[1] stream
-- Returns Unix ms.
-- Atomic by being one read; ages are then of one clock, that of the entry ids.
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
