-- Makes the group if there is none, and gives a new worker a lease. ARGV: worker, seconds. Returns whether it was made.
local worker, lease = ARGV[1], tonumber(ARGV[2])
local made = redis.pcall('XGROUP', 'CREATE', events, group, '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
if not made.err then
  -- What is noted of a group that is gone counts entries that nobody will settle: it would bind executors for good.
  for _, name in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
    for _, backend in ipairs(redis.call('SMEMBERS', PARKED .. name)) do
      redis.call('DEL', PARKED .. name .. ':' .. backend)
    end
    redis.call('DEL', PARKED .. name, WORKER .. name)
  end
  redis.call('DEL', workers, heirs, hands, in_hand)
end
redis.call('XGROUP', 'CREATECONSUMER', events, group, worker)
redis.call('ZADD', workers, seconds() + lease, worker)
return made.err and 0 or 1
