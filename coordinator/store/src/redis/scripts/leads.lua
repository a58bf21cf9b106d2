-- Begins every script that writes: only the leader may, and only on the store that it took.
-- KEYS[1] meta, KEYS[2] leader; ARGV[1] store, ARGV[2] holder, ARGV[3] term, ARGV[4] lease in ms.
local meta = redis.call('HMGET', KEYS[1], 'store', 'holder', 'term', 'sequence', 'commit', 'name')
for i = 1, 6 do
  meta[i] = meta[i] or ''
end
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] ~= ARGV[3] then
  return { 'not-leader', meta[1], meta[3], meta[4], meta[6] }
end
local function renew()
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
end
-- What a commit is told without being made: it is there already, it does not follow the last one, or a large one before
-- it is not folded in yet. KEYS[3] redo; ARGV[5] sequence, ARGV[6] commit.
local function settled()
  if meta[4] == ARGV[5] and meta[5] == ARGV[6] then
    renew()
    return { 'done' }
  end
  if tonumber(meta[4]) + 1 ~= tonumber(ARGV[5]) then
    return { 'sequence', meta[4] }
  end
  if redis.call('EXISTS', KEYS[3]) == 1 then
    return { 'redo' }
  end
end
-- A write to a key of another type would fail half way: scripts are not rolled back.
local function foreign(first)
  for i = first, #KEYS do
    local kind = redis.call('TYPE', KEYS[i]).ok
    if kind ~= 'none' and kind ~= 'hash' then
      return { 'foreign', KEYS[i], kind }
    end
  end
end
-- Whether a decimal number is above another: numbers of the language are exact up to 2^53 only, fences go beyond.
local function above(one, other)
  if #one ~= #other then
    return #one > #other
  end
  return one > other
end
-- Fences from ARGV[at] on: their number, then stage and fence. Refuses a stage that has a higher one.
local function stale(fences, at)
  for i = at + 1, at + 2 * tonumber(ARGV[at]), 2 do
    local stored = redis.call('HGET', fences, ARGV[i])
    if stored and above(stored, ARGV[i + 1]) then
      return { 'fence', ARGV[i], ARGV[i + 1], stored }
    end
  end
end
-- Rows from ARGV[at] on: number of the key, field, value. With '-' before the number the field is removed, with '*' the
-- whole key.
local function write(at)
  for i = at, #ARGV, 3 do
    local mark, key = ARGV[i]:match('^([-*]?)(%d+)$')
    key = KEYS[tonumber(key)]
    if mark == '-' then
      redis.call('HDEL', key, ARGV[i + 1])
    elseif mark == '*' then
      redis.call('DEL', key)
    else
      redis.call('HSET', key, ARGV[i + 1], ARGV[i + 2])
    end
  end
end
