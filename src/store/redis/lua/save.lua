local expires, fence, replaces, revision, tokens = unpack(ARGV)
if entry.fence ~= fence or entry.revision ~= replaces then return { 'refused' } end
write(expires, { 'revision', revision, 'tokens', tokens }, { 'intent' })
return { 'done' }
