-- Has a text told of a worker, also where the memory is full: then people look. ARGV: worker, text, seconds.
redis.call('SET', WORKER .. ARGV[1], ARGV[2], 'EX', ARGV[3])
return 1
