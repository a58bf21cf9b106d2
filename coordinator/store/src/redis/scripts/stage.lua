-- Puts one piece of a large commit aside, where no reader looks. The first piece clears what a former
-- commit may have left there.
-- KEYS[3] staged, KEYS[4] fences; ARGV[5] number of the piece, ARGV[6] the piece, ARGV[7…] fences.
local refusal = foreign(3) or stale(KEYS[4], 7)
if refusal then
  return refusal
end
renew()
if ARGV[5] == '0' then
  redis.call('DEL', KEYS[3])
end
redis.call('HSET', KEYS[3], ARGV[5], ARGV[6])
redis.call('PEXPIRE', KEYS[3], 600000)
return { 'done' }
