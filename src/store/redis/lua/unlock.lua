local expires, fence = unpack(ARGV)
if entry.fence ~= fence or not exists then return { 'refused' } end
write(expires, { 'locked_until', '0' }, { 'locked_by' })
return { 'done' }
