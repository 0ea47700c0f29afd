local ttl, fence, lease = unpack(ARGV)
if entry.fence ~= fence then return { 'conflict' } end
write(ttl, { 'locked_until', digits(now() + lease) })
return { 'ok' }
