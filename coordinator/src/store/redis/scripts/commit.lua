-- One commit: all checks first, then all writes, the sequence last.
-- KEYS[3] redo, KEYS[4] fences, KEYS[5…] what is written; ARGV[5] sequence, ARGV[6] commit, ARGV[7…] fences, rows.
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
local refusal = foreign(3) or stale(KEYS[4], 7)
if refusal then
  return refusal
end
renew()
write(8 + 2 * tonumber(ARGV[7]))
redis.call('HSET', KEYS[1], 'sequence', ARGV[5], 'commit', ARGV[6])
return { 'done' }
