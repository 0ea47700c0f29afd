local ttl, fence = unpack(ARGV)
if entry.fence ~= fence or not exists then return { 'conflict' } end
write(ttl, { 'locked_until', '0' }, { 'locked_by' })
return { 'ok' }
