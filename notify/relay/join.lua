-- Makes the group if there is none, and gives a new worker a lease. ARGV: worker, seconds.
local worker, lease = ARGV[1], tonumber(ARGV[2])
local made = redis.pcall('XGROUP', 'CREATE', events, group, '0', 'MKSTREAM')
if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP') then return made end
redis.call('XGROUP', 'CREATECONSUMER', events, group, worker)
redis.call('ZADD', workers, seconds() + lease, worker)
return 1
