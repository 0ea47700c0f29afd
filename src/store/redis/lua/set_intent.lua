-- Without an intent, `revision` is empty.
local expires, fence, revision, intent = unpack(ARGV)
if entry.fence ~= fence then return { 'refused' } end
if revision == '' then
    write(expires, {}, { 'intent' })
elseif entry.revision == revision then
    write(expires, { 'intent', intent })
else
    return { 'refused' }
end
return { 'done' }
