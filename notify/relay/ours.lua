-- What the scripts of limits and of notes begin with: whatever stands under a name of ours, they go on.

-- A number of ours; 0 for what is none, such as a NaN, which no comparison would ever end.
local function number(text)
  local known = tonumber(text)
  return known == known and known or 0
end

-- Forgets what another program has put under a name of ours: what cannot be read would stop all for good.
local function ours(key, kind)
  local is = redis.call('TYPE', key).ok
  if is ~= 'none' and is ~= kind then redis.call('DEL', key) end
end
