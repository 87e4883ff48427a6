-- What all scripts of the workers begin with. Before it stand the names of keys, which Python knows, as locals.
local LOST = 'LOST the lease of this worker has ended'

local function seconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Another one when the server is another, or was started again: it may know less than it did.
local function run_of_server()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
end

-- Whether nobody has begun to take over from this worker. Nobody may have noticed that its lease is over: then it is
-- not, because all there was in that time is still there.
local function is_held(worker)
  return redis.call('ZSCORE', workers, worker) and redis.call('HEXISTS', heirs, worker) == 0
end

local function is_pending(entry)
  return #redis.call('XPENDING', events, group, entry, entry, 1) > 0
end

-- Takes an entry off the list of what is pending. Once, however often it is called.
local function acknowledge(entry, executor)
  if redis.call('XACK', events, group, entry) == 1 then
    redis.call('DEL', ENTRY .. entry)
    if redis.call('HINCRBY', in_hand, executor, -1) <= 0 then
      redis.call('HDEL', in_hand, executor)
      redis.call('HDEL', hands, executor)
    end
  end
end

local function executor_of(fields)
  if fields[1] == 'v' and fields[3] == 'id' and fields[5] == 'executor' then
    return fields[6], fields[4]
  end
  return '', nil
end

local function fields_of(entry)
  local found = redis.call('XRANGE', events, entry, entry)
  return found[1] and found[1][2]
end

-- Returns an entry as Python reads it: id, executor, fields, what became of it so far.
local function whole(entry, fields, is_new)
  return {entry, (executor_of(fields)), fields, is_new and {} or redis.call('HGETALL', ENTRY .. entry)}
end

local function size_of(fields)
  local size = 0
  for _, text in ipairs(fields) do size = size + #text end
  return size
end

local function set_aside(entry, backend, reason)
  local kept = {}
  for at, text in ipairs(fields_of(entry) or {}) do
    if at > 100 then break end  -- what has more fields is not ours
    kept[at] = text
  end
  for _, text in ipairs({'reason', reason, 'backend', backend, 'entry', entry}) do kept[#kept + 1] = text end
  redis.call('XADD', dead, 'MAXLEN', '~', 100000, '*', unpack(kept))
end
