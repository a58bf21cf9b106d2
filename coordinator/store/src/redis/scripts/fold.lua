-- Moves one piece of the redo log into the tables. Once more is the same as once.
-- KEYS[3] redo, KEYS[4…] what is written; ARGV[5] number of the piece, ARGV[6…] its rows.
if redis.call('HEXISTS', KEYS[3], ARGV[5]) == 0 then
  renew()
  return { 'done' }
end
local refusal = foreign(3)
if refusal then
  return refusal
end
renew()
write(6)
redis.call('HDEL', KEYS[3], ARGV[5])
return { 'done' }
