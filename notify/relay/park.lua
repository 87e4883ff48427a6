-- Notes entries that stay pending until a backend has room. ARGV: worker, backend, entries. Returns how many there are.
local worker, backend = ARGV[1], ARGV[2]
if not is_held(worker) then return redis.error_reply(LOST) end
local list = PARKED .. worker .. ':' .. backend
redis.call('SADD', PARKED .. worker, backend)
for at = 3, #ARGV do
  redis.call('RPUSH', list, ARGV[at])
  redis.call('XCLAIM', events, group, worker, 0, ARGV[at], 'RETRYCOUNT', 1, 'JUSTID')  -- it has done nobody any harm
end
return redis.call('LLEN', list)
