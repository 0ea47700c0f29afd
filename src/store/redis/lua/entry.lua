-- The beginning of each script: reads the entry. A value of another format is an error and is left
-- untouched. Numbers are kept as text, because Lua's numbers hold only 53 bits.
local key = KEYS[1]
local entry = { version = '1', revision = '0', fence = '0', locked_until = '0' }
local exists = false

local function read()
    local found = redis.call('TYPE', key).ok
    if found == 'none' then return nil end
    if found ~= 'hash' then return 'it is a ' .. found .. ', not a hash' end
    local names = { 'version', 'revision', 'fence', 'locked_until', 'tokens', 'intent' }
    local values = redis.call('HMGET', key, unpack(names))
    if not values[1] then return 'it has no version' end
    if values[1] ~= '1' then return 'it was written by another version of this program' end
    for i = 2, 4 do
        -- Lua can calculate with numbers of up to 15 digits. Redis itself increments revisions.
        local max_digits = i == 2 and 18 or 15
        if not values[i] or not values[i]:match('^%d+$') or #values[i] > max_digits then
            return 'its ' .. names[i] .. ' is not a number'
        end
    end
    for i = 5, 6 do
        if values[i] and not pcall(cjson.decode, values[i]) then
            return 'its ' .. names[i] .. ' cannot be parsed'
        end
    end
    exists = true
    for i, name in ipairs(names) do entry[name] = values[i] or nil end
    return nil
end

local problem = read()
if problem then return { 'invalid', problem } end

-- Milliseconds since 1970, by the server's clock.
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function digits(number) return string.format('%.0f', number) end

-- Sets some fields and removes others. Creates the entry if it does not exist yet. `ttl` is the time
-- to live in milliseconds, or '0' for none. An entry is not removed before its lock has expired.
local function write(ttl, fields, removed)
    if not exists then
        redis.call('HSET', key, 'version', '1', 'revision', '0', 'fence', '0', 'locked_until', '0')
    end
    if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
    if removed then redis.call('HDEL', key, unpack(removed)) end
    if ttl == '0' then
        redis.call('PERSIST', key)
    else
        local locked = redis.call('HGET', key, 'locked_until') - now()
        redis.call('PEXPIRE', key, digits(math.max(ttl, locked)))
    end
end
