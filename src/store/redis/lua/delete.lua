local expires = unpack(ARGV)
write(expires, {}, { 'tokens', 'intent' })
redis.call('HINCRBY', key, 'revision', 1)
return { 'done', redis.call('HGET', key, 'revision') }
