-- Asks and tells of one chat's limits. All times are seconds of this server.
-- Before it stand the constants, which Python knows, as locals.
-- KEYS: what is known of the chat, its messages, those of the bot.
-- ARGV: "ready" or "acquire", the message, how many may follow each other at once, whether the chat is a group; or
-- "answered", the message, for how many seconds this server could not be told, the seconds of a stop, empty for none.
local what, message = ARGV[1], ARGV[2]
local at = redis.call('TIME')
local now = tonumber(at[1]) + tonumber(at[2]) / 1000000
if what == 'answered' then now = now - tonumber(ARGV[3]) end

ours(KEYS[1], 'hash')
ours(KEYS[2], 'zset')
ours(KEYS[3], 'zset')
local kept = redis.call('HMGET', KEYS[1], 'paid_until', 'closed_until', 'stops')
local paid_until = math.min(number(kept[1]), now + GROUP_SECONDS)  -- the clock may have been set back
local closed_until = math.min(number(kept[2]), now + LONGEST)
local stops = number(kept[3])

local function note(...)
  redis.call('HSET', KEYS[1], ...)
  redis.call('EXPIRE', KEYS[1], KEPT)
end

-- A window is a sorted set of messages, each with the moment from which it does not count any more.
local function window_wait(key, most, seconds)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', key, string.format('(%.17g', now + seconds), '+inf')
  local count = redis.call('ZCARD', key)
  if count < most then return 0 end
  return tonumber(redis.call('ZRANGE', key, count - most, count - most, 'WITHSCORES')[2]) - now
end

local function occupy()
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('ZADD', KEYS[2], now + GROUP_SECONDS, message)
  redis.call('ZADD', KEYS[3], now + ALL_SECONDS, message)
  redis.call('EXPIRE', KEYS[2], KEPT)
  redis.call('EXPIRE', KEYS[3], KEPT)
end

if what == 'answered' then
  occupy()  -- from now on: it may have arrived at any time until now
  if ARGV[4] ~= '' then
    local stop = math.max(tonumber(ARGV[4]), math.min(SHORTEST * 2 ^ stops, SHORTEST_LAST))
    note('closed_until', now + math.min(stop, LONGEST), 'stops', math.min(stops + 1, MOST))
  elseif now >= closed_until and stops > 0 then
    note('stops', 0)
  end
  return '0'
end

if what == 'acquire' and redis.call('ZSCORE', KEYS[2], message) then
  return '0'  -- this is asked again, because the answer was lost on its way
end
local wait = math.max(0, closed_until - now, paid_until - now - EACH * (tonumber(ARGV[3]) - 1))
if ARGV[4] == 'group' then
  wait = math.max(wait, window_wait(KEYS[2], GROUP, GROUP_SECONDS))
end
wait = math.max(wait, window_wait(KEYS[3], ALL, ALL_SECONDS))
if wait > 0 or what == 'ready' then
  return string.format('%.6f', wait)
end
note('paid_until', math.max(paid_until, now) + EACH)
occupy()
return '0'
