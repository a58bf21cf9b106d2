-- One commit: all checks first, then all writes, the sequence last.
-- KEYS[3] redo, KEYS[4] fences, KEYS[5…] what is written; ARGV[5] sequence, ARGV[6] commit, ARGV[7…] fences, rows.
local answer = settled() or foreign(3) or stale(KEYS[4], 7)
if answer then
  return answer
end
renew()
write(8 + 2 * tonumber(ARGV[7]))
redis.call('HSET', KEYS[1], 'sequence', ARGV[5], 'commit', ARGV[6])
return { 'done' }
