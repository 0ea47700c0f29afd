local ttl, holder, lease = unpack(ARGV)
local moment = now()
local left = tonumber(entry.locked_until) - moment
if left > 0 then return { 'held', digits(left) } end
-- The time, rather than the last number plus one: if the server loses an entry, the next lock still
-- gets a greater number than any before it.
local fence = digits(math.max(tonumber(entry.fence) + 1, moment))
write(ttl, { 'fence', fence, 'locked_until', digits(moment + lease), 'locked_by', holder })
return { 'ok', fence }
