-- Notes a text, or removes it. The oldest make room.
-- KEYS: the hash of texts, the sorted set of names by age, the bytes of all together.
-- ARGV: the name, "1" or "0", the text, most entries, most bytes.
local notes, ages, size = KEYS[1], KEYS[2], KEYS[3]
ours(notes, 'hash')
ours(ages, 'zset')
ours(size, 'string')
if not tonumber(redis.call('GET', size) or '0') then redis.call('DEL', size) end

local function drop(name)
  local kept = redis.call('HGET', notes, name)
  if kept then
    redis.call('HDEL', notes, name)
    redis.call('ZREM', ages, name)
    redis.call('DECRBY', size, #name + #kept)
  end
  return kept and 1 or 0
end

local name, text = ARGV[1], ARGV[3]
local was_there = drop(name)
if ARGV[2] == '1' then
  local newest = redis.call('ZRANGE', ages, -1, -1, 'WITHSCORES')
  redis.call('HSET', notes, name, text)
  redis.call('ZADD', ages, (tonumber(newest[2]) or 0) + 1, name)
  redis.call('INCRBY', size, #name + #text)
  while redis.call('HLEN', notes) > tonumber(ARGV[4]) or tonumber(redis.call('GET', size)) > tonumber(ARGV[5]) do
    local oldest = redis.call('ZRANGE', ages, 0, 0)
    if not oldest[1] then
      break
    end
    drop(oldest[1])
  end
end
return was_there
