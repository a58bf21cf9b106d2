-- Makes a staged commit true at once: from here on its pieces are the redo log, which readers lay over
-- the tables until it is folded in.
-- KEYS[3] redo, KEYS[4] staged; ARGV[5] sequence, ARGV[6] commit, ARGV[7] number of pieces.
local answer = settled()
if answer then
  return answer
end
if redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[7]) then
  return { 'pieces', tostring(redis.call('HLEN', KEYS[4])) }
end
renew()
redis.call('PERSIST', KEYS[4])
redis.call('RENAME', KEYS[4], KEYS[3])
redis.call('HSET', KEYS[1], 'sequence', ARGV[5], 'commit', ARGV[6])
return { 'done' }
