-- Takes over, piece by piece, from a worker that is dead. ARGV: worker, entries at most, bytes, deliveries at most,
-- '1': also from one that has left without a word, seconds of a lease, the run of the server that the worker knows.
-- Returns entries in order, how many were set aside, whether there is more.
local worker, most, most_bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local deliveries, is_sure, lease = tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])
if not is_held(worker) then return redis.error_reply(LOST) end
if ARGV[7] ~= '' and run_of_server() ~= ARGV[7] then return {{}, 0, 0} end  -- it may not have heard of leases

local now = seconds()
local found, score
-- No lease ends later than one that begins now, unless the clock was set back.
for _, late in ipairs(redis.call('ZRANGE', workers, string.format('(%.17g', now + lease), '+inf', 'BYSCORE')) do
  redis.call('ZADD', workers, now + lease, late)
end
for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', events, group)) do
  local name = each[2]
  local ends = redis.call('ZSCORE', workers, name)
  local heir = redis.call('HGET', heirs, name)
  local is_dead = not ends or tonumber(ends) == 0 or (is_sure and tonumber(ends) <= now)
  -- What an heir that is dead, too, has taken over already comes first.
  local is_free = not heir or heir == worker or not redis.call('ZSCORE', workers, heir)
  if name ~= worker and is_dead and is_free then found, score = name, tonumber(ends or 1) break end
end
if not found then return {{}, 0, 0} end

local taken, bytes, poison = {}, 0, 0
local pending = redis.call('XPENDING', events, group, '-', '+', most, found)
if #pending == 0 then
  local all = redis.call('HGETALL', hands)
  for at = 1, #all, 2 do
    if all[at + 1] == found then redis.call('HSET', hands, all[at], worker) end
  end
  for _, backend in ipairs(redis.call('SMEMBERS', PARKED .. found)) do
    redis.call('DEL', PARKED .. found .. ':' .. backend)
  end
  redis.call('DEL', PARKED .. found, WORKER .. found)
  redis.call('XGROUP', 'DELCONSUMER', events, group, found)
  redis.call('ZREM', workers, found)
  redis.call('HDEL', heirs, found)
  return {{}, 0, 1}
end
redis.call('HSET', heirs, found, worker)
for _, each in ipairs(pending) do
  local entry, times = each[1], each[4]
  local fields = fields_of(entry)
  if score ~= 0 then times = times + 1 end
  if not fields then
    redis.call('XACK', events, group, entry)
  elseif times > deliveries then
    set_aside(entry, '', 'each of ' .. deliveries .. ' workers that had it in hand was killed')
    acknowledge(entry, (executor_of(fields)))
    poison = poison + 1
  else
    redis.call('XCLAIM', events, group, worker, 0, entry, 'RETRYCOUNT', times, 'JUSTID')
    taken[#taken + 1] = whole(entry, fields)
    bytes = bytes + size_of(fields)
    if bytes >= most_bytes then break end
  end
end
return {taken, poison, 1}
