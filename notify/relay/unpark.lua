-- Returns parked entries, and how many are left. ARGV: worker, backend, how many at most, how many bytes.
local worker, backend, most, most_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not is_held(worker) then return redis.error_reply(LOST) end
local list = PARKED .. worker .. ':' .. backend
local taken, bytes = {}, 0
for _ = 1, most + 1000 do  -- others wait for the server, however many were deleted
  if #taken >= most or bytes >= most_bytes then break end
  local entry = redis.call('LPOP', list)
  if not entry then break end
  local fields = fields_of(entry)
  if not fields then
    redis.call('XACK', events, group, entry)  -- somebody has deleted it
  elseif #redis.call('XPENDING', events, group, entry, entry, 1, worker) == 1 then
    taken[#taken + 1] = whole(entry, fields)
    bytes = bytes + size_of(fields)
  end
end
return {taken, redis.call('LLEN', list)}
