-- Returns the time of the server that has the stream. TIME has no key, so a cluster client could not route it.
-- KEYS[1] stream
-- Returns Unix ms.
-- One read; ages then use the clock of the entry ids.
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
