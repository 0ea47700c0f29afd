local expires, holder, lasts = unpack(ARGV)
local moment = now()
local left = tonumber(entry.locked_until) - moment
if left > 0 then return { 'held', digits(left) } end
-- The time, rather than only one more than the last: an entry that was lost starts with greater
-- numbers than it ever had.
local fence = digits(math.max(tonumber(entry.fence) + 1, moment))
write(expires, { 'fence', fence, 'locked_until', digits(moment + lasts), 'locked_by', holder })
return { 'done', fence }
