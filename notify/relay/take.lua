-- Renews the lease, and returns what is the worker's to deliver, in the order of the stream.
-- ARGV: worker, seconds of the lease, the last entry that it has read, how many more at most, how many bytes, the run
-- of the server that it knows.
-- Returns entries, the last one that was looked at, how many duplicates there were, whether all that was pending has
-- been read, the end of the stream if there is nothing more, the run of this server. No entries when that is another.
local worker, lease, cursor = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local most, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local run = run_of_server()
if not is_held(worker) then return redis.error_reply(LOST) end
redis.call('ZADD', workers, seconds() + lease, worker)

local taken, bytes, duplicates = {}, 0, 0
local function is_full() return #taken >= most or bytes >= most_bytes end
local function take(entry, fields, is_new)
  taken[#taken + 1] = whole(entry, fields, is_new)
  bytes = bytes + size_of(fields)
end

if most == 0 or (ARGV[6] ~= '' and ARGV[6] ~= run) then return {taken, cursor, 0, 0, false, run} end

-- First what others have found meanwhile of executors that this worker has in hand.
local rest = true
while rest and not is_full() do
  local pending = redis.call('XPENDING', events, group, '(' .. cursor, '+', math.min(16, most - #taken), worker)
  rest = #pending > 0
  for _, each in ipairs(pending) do
    cursor = each[1]
    local fields = fields_of(cursor)
    if fields then take(cursor, fields) else redis.call('XACK', events, group, cursor) end  -- somebody has deleted it
    if is_full() then break end
  end
end
if rest then return {taken, cursor, duplicates, 0, false, run} end

-- Then what nobody has seen yet.
local looked, some = 0, 1  -- nobody knows how large they are: sixteen of 8 MB would be 128 MB in one answer
while not is_full() and looked < most do  -- others wait for the server meanwhile
  local count = math.min(some, most - #taken)
  some = math.min(16, some * 2)
  local got = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count, 'STREAMS', events, '>')
  if not got then
    return {taken, cursor, duplicates, 1, redis.call('XINFO', 'STREAM', events)[8], run}  -- the id that was given last
  end
  for _, each in ipairs(got[1][2]) do
    local entry, fields = each[1], each[2]
    local executor, event = executor_of(fields)
    looked = looked + 1
    local first = true
    if event then
      local key = SEEN .. event
      first = redis.call('SET', key, entry, 'NX', 'EX', 86400) or redis.call('GET', key) == entry
    end
    if not first then
      redis.call('XACK', events, group, entry)
      duplicates = duplicates + 1
    else
      local holder = redis.call('HGET', hands, executor)
      redis.call('HINCRBY', in_hand, executor, 1)
      if holder and holder ~= worker then
        redis.call('XCLAIM', events, group, holder, 0, entry, 'RETRYCOUNT', 1, 'JUSTID')
      else
        if not holder then redis.call('HSET', hands, executor, worker) end
        take(entry, fields, true)
        cursor = entry
      end
    end
  end
end
return {taken, cursor, duplicates, 1, false, run}
