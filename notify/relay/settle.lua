-- Notes what backends have taken, or have refused for good, and takes entries that all have off the pending ones.
-- ARGV: worker, and for each: entry, executor, backend, the others that want it and did not have it yet (comma list),
-- why it is set aside ('' when it was delivered). What is told once more, because the answer was lost, changes nothing.
if not is_held(ARGV[1]) then return redis.error_reply(LOST) end
for at = 2, #ARGV, 5 do
  local entry, executor, backend, others, reason = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local key = ENTRY .. entry
  if (others == '' and reason == '') or is_pending(entry) then
    if reason ~= '' and redis.call('HEXISTS', key, 'to:' .. backend) == 0 then set_aside(entry, backend, reason) end
    local complete = true
    if others ~= '' then
      redis.call('HSET', key, 'to:' .. backend, 1)
      redis.call('EXPIRE', key, 2592000)
      for other in string.gmatch(others, '[^,]+') do
        if redis.call('HEXISTS', key, 'to:' .. other) == 0 then complete = false end
      end
    end
    if complete then acknowledge(entry, executor) end
  end
end
return 1
