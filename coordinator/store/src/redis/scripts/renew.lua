-- A sign of life, which also notices that the store has gone back.
-- ARGV[5] sequence.
if meta[4] ~= ARGV[5] then
  return { 'sequence', meta[4] }
end
renew()
return { 'done' }
