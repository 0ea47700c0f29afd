-- An empty `revision` clears the intent.
local ttl, fence, revision, intent = unpack(ARGV)
if entry.fence ~= fence then return { 'conflict' } end
if revision == '' then
    write(ttl, {}, { 'intent' })
elseif entry.revision == revision then
    write(ttl, { 'intent', intent })
else
    return { 'conflict' }
end
return { 'ok' }
