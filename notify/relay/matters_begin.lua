-- Takes the lock on what is known of matters, and returns what others have changed since.
-- ARGV: worker, token of the lock, its milliseconds, the last change that the worker knows and whose that was, what is
-- asked as JSON: `entries`, `heard` (pairs of a matter and an executor), `matters` (of which it is asked whether
-- something is on its way) or `all` of them.
-- Returns "busy" and the milliseconds until the lock ends by itself, or "held", the time, the last change and whose it
-- is, whether all is told, names and values, and the answers: of each entry what was noted, empty for nothing, nil for
-- one that is not pending any more; of each pair 1 or 0; the matters of which something is on its way.
local worker, token, cursor, by = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
if not is_held(worker) then return redis.error_reply(LOST) end
if redis.call('GET', lock) ~= token and not redis.call('SET', lock, token, 'NX', 'PX', ARGV[3]) then
  local left = redis.call('PTTL', lock)
  if left < 0 or left > tonumber(ARGV[3]) then
    redis.call('PEXPIRE', lock, ARGV[3])  -- the clock was set back, or somebody else's program has put it there
  end
  return {'busy', redis.call('PTTL', lock)}
end
local asked = cjson.decode(ARGV[6])

-- What has changed.
local values, is_all = {}, 0
local found = cursor ~= '' and redis.call('XRANGE', log, cursor, '+') or {}
if found[1] and found[1][1] == cursor and found[1][2][2] == by then
  local names, known = {}, {}
  for at = 2, #found do
    for name in string.gmatch(found[at][2][4] or '', '%S+') do
      if not known[name] then
        known[name] = true
        names[#names + 1] = name
      end
    end
  end
  for first = 1, #names, 1000 do
    local last = math.min(first + 999, #names)
    for at, value in ipairs(redis.call('HMGET', matters, unpack(names, first, last))) do
      values[#values + 1] = names[first + at - 1]
      values[#values + 1] = value
    end
  end
else
  values, is_all = redis.call('HGETALL', matters), 1
end
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]

-- What is asked.
local entries, heard, waiting = {}, {}, {}
for at, entry in ipairs(asked.entries) do
  entries[at] = redis.call('HGET', ENTRY .. entry, 'judged') or (is_pending(entry) and '')
end
for at, pair in ipairs(asked.heard) do
  heard[at] = redis.call('SISMEMBER', HEARD .. pair[1], pair[2])
end
local function number(entry)
  local ms, sequence = string.match(entry, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end
local function is_after(entry, other)
  local ms, sequence = number(entry)
  local other_ms, other_sequence = number(other)
  return ms > other_ms or (ms == other_ms and sequence > other_sequence)
end
local delivered = '0-0'
for _, each in ipairs(redis.call('XINFO', 'GROUPS', events)) do
  if each[2] == group then
    for at = 1, #each, 2 do
      if each[at] == 'last-delivered-id' then delivered = each[at + 1] end
    end
  end
end
for _, matter in ipairs(asked.all and redis.call('HKEYS', said) or asked.matters) do
  local entry = redis.call('HGET', said, matter)
  if entry and number(entry) and (is_after(entry, delivered) or is_pending(entry)) then
    waiting[#waiting + 1] = matter
  end
end
return {'held', string.format('%.6f', seconds()), newest and newest[1] or '', newest and newest[2][2] or '', is_all,
  values, entries, heard, waiting}
