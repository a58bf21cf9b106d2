-- Takes the lead under a term that was never used, unless another coordinator's lease holds.
-- KEYS[1] meta, KEYS[2] leader; ARGV[1] id for a new store, ARGV[2] holder, ARGV[3] its name,
-- ARGV[4] lease in ms, ARGV[5] format.
local meta = redis.call('HMGET', KEYS[1], 'store', 'holder', 'term', 'sequence', 'format', 'name')
if meta[5] and meta[5] ~= ARGV[5] then
  return { 'format', meta[5] }
end
local leader = redis.call('GET', KEYS[2])
if leader and leader ~= ARGV[2] then
  return { 'held', meta[6] or '', tostring(redis.call('PTTL', KEYS[2])) }
end
local term = tonumber(meta[3] or '0')
-- The same call again, because its first reply was lost: the same term.
if not (leader and meta[2] == ARGV[2]) then
  term = term + 1
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
redis.call('HSET', KEYS[1], 'store', meta[1] or ARGV[1], 'holder', ARGV[2], 'name', ARGV[3],
  'term', string.format('%d', term), 'sequence', meta[4] or '0', 'format', ARGV[5])
return { 'leads', meta[1] or ARGV[1], string.format('%d', term), meta[4] or '0' }
