-- The first write is one that Redis refuses when it has no memory left: then nothing is done.
local expires = unpack(ARGV)
if exists then
    redis.call('HINCRBY', key, 'revision', 1)
    write(expires, {}, { 'tokens', 'intent' })
else
    write(expires, { 'revision', '1' })
end
return { 'done', redis.call('HGET', key, 'revision') }
