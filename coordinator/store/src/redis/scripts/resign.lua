-- Gives the lead up: whoever stands by need not wait for the lease to end.
if redis.call('GET', KEYS[2]) == ARGV[2] then
  redis.call('DEL', KEYS[2])
end
return { 'done' }
