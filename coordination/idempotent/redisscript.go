package idempotent

// redisScript is every operation of the store redis, each on one key.
const redisScript = `-- One record is a hash: s state (P, D, U), a arguments, o owner, n attempts, l incarnation, t token, b began, e end of the lease, r result.
-- KEYS[1] the record; ARGV op, owner, incarnation, token, and then
--   begin, take: arguments, lease, ttl, reopen       finish: state, ttl, result
local key, op, owner, life, token = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local h = redis.call('HMGET', key, 's', 'a', 'o', 'n', 'l', 't', 'b', 'e', 'r')
local state, args, holder = h[1], h[2], h[3]
local attempt, oldlife, oldtoken = tonumber(h[4] or '0'), h[5] or '', tonumber(h[6] or '0')
local began, lease = tonumber(h[7] or '0'), tonumber(h[8] or '0')

-- tell answers with what there is. Numbers are exact to 2^53, which tokens reach with the two millionth leader of an ensemble.
local function tell(word)
	local left = 0
	if state == 'P' then left = lease - now end
	local result = ''
	if word == 'done' then result = h[9] or '' end
	return {word, attempt, now - began, left, oldlife, tonumber(oldtoken), result}
end

local function words() -- of the state
	if not state then return tell('absent') end
	if state == 'P' then return tell('progress') end
	if state == 'D' then return tell('done') end
	return tell('unknown')
end

local function start()
	attempt = attempt + 1
	local span, ttl = tonumber(ARGV[6]), tonumber(ARGV[7])
	redis.call('DEL', key)
	redis.call('HSET', key, 's', 'P', 'a', ARGV[5], 'o', owner, 'n', attempt, 'l', life, 't', ARGV[4], 'b', now, 'e', now + span)
	redis.call('PEXPIRE', key, span + ttl)
	return {'started', attempt, 0, span, life, token, ''}
end

if op == 'look' then return words() end

if op == 'abandon' then
	if state == 'P' and holder == owner then redis.call('DEL', key) end
	return {'ok', 0, 0, 0, '', 0, ''}
end

if op == 'begin' or op == 'take' then
	if not state then
		if op == 'take' then return tell('absent') end
		return start()
	end
	if args ~= ARGV[5] then return tell('mismatch') end
	if state == 'P' and holder == owner then return tell('started') end
	if op == 'begin' or state == 'D' or (state == 'U' and ARGV[8] == '0') then return words() end
	if oldlife ~= '' and life ~= '' and oldlife ~= life then return tell('life') end
	local dead = state == 'U' or lease <= now
	if (token > oldtoken and oldtoken ~= 0) or (dead and token >= oldtoken) then return start() end
	return words()
end

-- finish
if not state or holder ~= owner then return tell('fenced') end
if state ~= 'P' then return tell('ok') end
if oldlife ~= '' and life ~= '' and oldlife ~= life then return tell('life') end
if token < oldtoken then return tell('fenced') end
redis.call('HSET', key, 's', ARGV[5], 'r', ARGV[7])
redis.call('PEXPIRE', key, ARGV[6])
return {'ok', attempt, 0, 0, '', 0, ''}
`
