-- The first command is one that Redis refuses when it is out of memory, so that nothing is half done.
local ttl = unpack(ARGV)
if exists then
    redis.call('HINCRBY', key, 'revision', 1)
    write(ttl, {}, { 'tokens', 'intent' })
else
    write(ttl, { 'revision', '1' })
end
return { 'ok', redis.call('HGET', key, 'revision') }
