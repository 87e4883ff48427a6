-- Gives a lease back: others take over at once, and nobody counts that as a death. ARGV: worker.
if not is_held(ARGV[1]) then return redis.error_reply(LOST) end
redis.call('ZADD', workers, 0, ARGV[1])
return 1
