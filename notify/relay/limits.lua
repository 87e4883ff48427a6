-- Asks and tells of one webhook's limits. All times are seconds of this server.
-- Before it stand the constants, which Python knows, as locals.
-- KEYS: the webhook's gate and requests, the gate of everything.
-- ARGV: "ready", "acquire" or "answered"; the request; for "answered" what Python's `_said` has put there.
local what, request = ARGV[1], ARGV[2]

local function clock()
  local at = redis.call('TIME')
  return tonumber(at[1]) + tonumber(at[2]) / 1000000
end

local now = clock()
if what == 'answered' then
  now = now - tonumber(ARGV[3])  -- so long this server could not be told
end

local function opened(key)
  ours(key, 'hash')
  local kept = redis.call('HMGET', key, 'closed_until', 'stops', 'probe', 'probed_until', 'left', 'counted_until',
    'bucket')
  return {
    key = key,
    closed_until = math.min(number(kept[1]), now + LONGEST),  -- the clock may have been set back
    stops = number(kept[2]),
    probe = kept[3],
    probed_until = math.min(number(kept[4]), now + PROBE),
    left = number(kept[5]),
    counted_until = math.min(number(kept[6]), now + LONGEST),
    bucket = kept[7],
  }
end

local function note(gate, ...)
  redis.call('HSET', gate.key, ...)
  redis.call('EXPIRE', gate.key, KEPT)
end

local function gate_wait(gate)
  local wait = math.max(0, gate.closed_until - now)
  if gate.probe and gate.probe ~= request then
    wait = math.max(wait, math.min(gate.probed_until - now, LOOK_AGAIN))
  end
  if gate.left <= 0 then
    wait = math.max(wait, gate.counted_until - now)
  end
  return wait
end

-- A window is a sorted set of requests, each with the moment from which it does not count any more.
local function window_wait(key, most, seconds)
  ours(key, 'zset')
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', key, string.format('(%.17g', now + math.max(PROBE, seconds)), '+inf')
  local count = redis.call('ZCARD', key)
  if count < most then
    return 0
  end
  local first = redis.call('ZRANGE', key, count - most, count - most, 'WITHSCORES')
  return math.min(tonumber(first[2]) - now, seconds)
end

local function occupy(key, seconds)
  ours(key, 'zset')
  redis.call('ZADD', key, now + seconds, request)
  redis.call('EXPIRE', key, KEPT)
end

ours(KEYS[2], 'zset')
local hook, everything = opened(KEYS[1]), opened(KEYS[3])
local channel_id = redis.call('HGET', KEYS[1], 'channel')
if what == 'answered' and ARGV[4] ~= '' then
  if channel_id then ours(CHANNEL_KEY .. channel_id, 'hash') end
  if channel_id and redis.call('HGET', CHANNEL_KEY .. channel_id, 'probe') == request then
    redis.call('HDEL', CHANNEL_KEY .. channel_id, 'probe', 'probed_until')  -- the webhook has moved meanwhile
  end
  channel_id = ARGV[4]
  note(hook, 'channel', channel_id)
end
local gates, channel = {hook, everything}, nil
if channel_id then
  channel = opened(CHANNEL_KEY .. channel_id)
  table.insert(gates, channel)
end

if what == 'answered' then
  local scope, seconds, is_answer = ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1'
  for _, gate in ipairs(gates) do
    if gate.probe == request then
      redis.call('HDEL', gate.key, 'probe', 'probed_until')
    end
    local is_stopped = (scope == 'PROCESS' and gate == everything) or (scope == 'CHANNEL' and gate ~= everything)
      or (scope == 'WEBHOOK' and gate == hook)
    if is_stopped then
      local shortest = math.min(SHORTEST * 2 ^ gate.stops, SHORTEST_LAST)
      if now >= gate.closed_until then
        gate.stops = math.min(gate.stops + 1, MOST)
      end
      local closed_until = math.max(gate.closed_until, now + math.min(math.max(seconds, shortest), LONGEST))
      note(gate, 'closed_until', closed_until, 'stops', gate.stops)
    elseif is_answer and scope == '' and now >= gate.closed_until and gate.stops > 0 then
      note(gate, 'stops', 0)
    end
  end
  occupy(KEYS[2], WEBHOOK_SECONDS)
  if channel then
    occupy(channel.key .. SENT, CHANNEL_SECONDS)
  end
  if ARGV[8] ~= '' then
    local under_way = redis.call('ZCOUNT', KEYS[2], string.format('(%.17g', now + WEBHOOK_SECONDS), '+inf')
    local left, counted_until = tonumber(ARGV[8]) - under_way, now + math.min(tonumber(ARGV[9]), LONGEST)
    if hook.bucket ~= ARGV[10] and now < hook.counted_until then
      -- Said of another kind of requests: what was said of the first kind still holds.
      note(hook, 'left', math.min(hook.left, left), 'counted_until', math.max(hook.counted_until, counted_until))
    else
      note(hook, 'left', left, 'counted_until', counted_until, 'bucket', ARGV[10])
    end
  end
  return '0'
end

if what == 'acquire' and redis.call('ZSCORE', KEYS[2], request) then
  return '0'  -- this is asked again, because the answer was lost on its way
end

local wait = window_wait(KEYS[2], WEBHOOK_MOST, WEBHOOK_SECONDS)
for _, gate in ipairs(gates) do
  wait = math.max(wait, gate_wait(gate))
end
if channel then
  wait = math.max(wait, window_wait(channel.key .. SENT, CHANNEL_MOST, CHANNEL_SECONDS))
elseif redis.call('ZCOUNT', KEYS[2], string.format('(%.17g', now + WEBHOOK_SECONDS), '+inf') > 0 then
  wait = math.max(wait, LOOK_AGAIN)  -- its answer will tell which channel that is
end
if wait > 0 or what == 'ready' then
  return string.format('%.6f', wait)
end
for _, gate in ipairs(gates) do
  if gate.stops > 0 then
    note(gate, 'probe', request, 'probed_until', now + PROBE)
  end
end
note(hook, 'left', hook.left - 1)
occupy(KEYS[2], PROBE)
if channel then
  occupy(channel.key .. SENT, CHANNEL_SECONDS)
end
return '0'
