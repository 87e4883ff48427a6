-- Notes that a worker has lived with entries in hand for so long that it is none of them that kills. ARGV: worker,
-- entries.
local worker = ARGV[1]
if not is_held(worker) then return redis.error_reply(LOST) end
for at = 2, #ARGV do redis.call('XCLAIM', events, group, worker, 0, ARGV[at], 'RETRYCOUNT', 1, 'JUSTID') end
return 1
