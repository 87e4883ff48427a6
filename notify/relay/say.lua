-- Returns whether no worker has said a text lately, and notes that this one does. ARGV: worker, its digest, seconds.
return redis.call('SET', SAID .. ARGV[2], ARGV[1], 'NX', 'EX', ARGV[3]) and 1 or 0
