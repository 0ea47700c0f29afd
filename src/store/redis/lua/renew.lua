local expires, fence, lasts = unpack(ARGV)
if entry.fence ~= fence then return { 'refused' } end
write(expires, { 'locked_until', digits(now() + lasts) })
return { 'done' }
