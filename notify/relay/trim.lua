-- Removes entries that every group on the stream has behind it.
local keep
for _, each in ipairs(redis.call('XINFO', 'GROUPS', events)) do
  local name, last = each[2], each[8]
  local oldest = redis.call('XPENDING', events, name)[2] or last
  local ms, seq = string.match(oldest, '(%d+)-(%d+)')
  local place = string.format('%020s-%020s', ms, seq)
  if not keep or place < keep.place then keep = {place = place, entry = oldest} end
end
return keep and redis.call('XTRIM', events, 'MINID', '~', keep.entry) or 0
