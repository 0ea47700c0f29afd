local ttl, fence, replaces, revision, tokens = unpack(ARGV)
if entry.fence ~= fence or entry.revision ~= replaces then return { 'conflict' } end
write(ttl, { 'revision', revision, 'tokens', tokens }, { 'intent' })
return { 'ok' }
