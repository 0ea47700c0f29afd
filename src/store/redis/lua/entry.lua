-- The beginning of each script: reads the entry, and leaves alone what is no entry of this format.
-- All numbers stay texts, because those of Lua hold 53 bits only.
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
    if values[1] ~= '1' then return 'another version of this program has written it' end
    for i = 2, 4 do
        -- What is shorter than 16 digits Lua can count with; revisions are counted by Redis.
        local most = i == 2 and 18 or 15
        if not values[i] or not values[i]:match('^%d+$') or #values[i] > most then
            return 'its ' .. names[i] .. ' is no number'
        end
    end
    for i = 5, 6 do
        if values[i] and not pcall(cjson.decode, values[i]) then
            return 'its ' .. names[i] .. ' cannot be read'
        end
    end
    exists = true
    for i, name in ipairs(names) do entry[name] = values[i] or nil end
    return nil
end

local trouble = read()
if trouble then return { 'foreign', trouble } end

-- Milliseconds since 1970, by the clock of the server.
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function digits(number) return string.format('%.0f', number) end

-- Writes fields and removes others. What was never written becomes an entry by it. `expires` is
-- the time to live in milliseconds, '0' for none; a lock outlives it.
local function write(expires, fields, removed)
    if not exists then
        redis.call('HSET', key, 'version', '1', 'revision', '0', 'fence', '0', 'locked_until', '0')
    end
    if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
    if removed then redis.call('HDEL', key, unpack(removed)) end
    if expires == '0' then
        redis.call('PERSIST', key)
    else
        local locked = redis.call('HGET', key, 'locked_until') - now()
        redis.call('PEXPIRE', key, digits(math.max(expires, locked)))
    end
end
