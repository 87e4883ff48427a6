-- Forgets what is parked: the worker reads all that is pending for it once more. ARGV: worker.
local worker = ARGV[1]
if not is_held(worker) then return redis.error_reply(LOST) end
for _, backend in ipairs(redis.call('SMEMBERS', PARKED .. worker)) do
  redis.call('DEL', PARKED .. worker .. ':' .. backend)
end
return 1
