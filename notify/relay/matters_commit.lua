-- Notes what became of a batch, if the lock is still held, and gives it back.
-- ARGV: worker, token of the lock, seconds that a matter's executors are kept, what is to be noted as JSON of texts,
-- then entries to be acknowledged, each with its executor.
-- Returns "late" when somebody else has the lock by now and nothing was noted; otherwise "noted" and the change's id.
local worker, token, kept = ARGV[1], ARGV[2], ARGV[3]
if not is_held(worker) then return redis.error_reply(LOST) end
if redis.call('GET', lock) ~= token then return {'late'} end
local plan = cjson.decode(ARGV[4])

local names = {}
for _, change in ipairs(plan.changes) do
  local name, value = change[1], change[2]
  names[#names + 1] = name
  if value == '' then
    redis.call('HDEL', matters, name)
    redis.call('HDEL', said, name)
    redis.call('DEL', HEARD .. name)
  else
    redis.call('HSET', matters, name, value)
    redis.call('EXPIRE', HEARD .. name, kept)
  end
end
for _, each in ipairs(plan.heard) do
  local key = HEARD .. each[1]
  if each[2] == 'anew' then redis.call('DEL', key) end
  for _, executor in ipairs(each[3]) do redis.call('SADD', key, executor) end
  redis.call('EXPIRE', key, kept)
end
for _, matter in ipairs(plan.arrived) do redis.call('HDEL', said, matter) end
for _, each in ipairs(plan.announced) do redis.call('HSET', said, each[1], each[2]) end
for _, each in ipairs(plan.sayings) do
  local entry = redis.call('XADD', events, '*', unpack(each[2]))
  if each[1] ~= '' then redis.call('HSET', said, each[1], entry) end
end
for _, each in ipairs(plan.judged) do redis.call('HSET', ENTRY .. each[1], 'judged', each[2]) end
for at = 5, #ARGV, 2 do acknowledge(ARGV[at], ARGV[at + 1]) end

local change = ''
if #names > 0 then
  change = redis.call('XADD', log, 'MAXLEN', '~', 1000, '*', 'by', token, 'names', table.concat(names, ' '))
end
redis.call('DEL', lock)
return {'noted', change}
