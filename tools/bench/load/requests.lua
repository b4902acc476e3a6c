-- What wrk sends: one kind of request, about one id after the other.
local kind = os.getenv('BENCH_KIND')
local count = tonumber(os.getenv('BENCH_COUNT'))
local json = { ['Content-Type'] = 'application/json' }
local next_id = tonumber(os.getenv('BENCH_FIRST') or '0') % count

-- 12 characters.
local function id_of(n) return string.format('member-%05d', n) end

function request()
  local number = next_id
  local id = id_of(number)
  next_id = (next_id + 1) % count
  if kind == 'discover' then return wrk.format('GET', '/discover/' .. id) end
  -- A key of etcd is in base 64, which these letters and digits are already; its leases count from 1.
  if kind == 'etcd-range' then return wrk.format('POST', '/v3/kv/range', json, string.format('{"key":"member%06d"}', number)) end
  if kind == 'etcd-keepalive' then return wrk.format('POST', '/v3/lease/keepalive', json, '{"ID":' .. number + 1 .. '}') end
  if kind == 'heartbeat' then return wrk.format('POST', '/heartbeat', json, '{"id":"' .. id .. '"}') end
  -- An endpoint of 40 characters.
  return wrk.format('POST', '/register', json, '{"id":"' .. id .. '","parent":"house","endpoint":"http://10.0.0.1:8080/member/' .. id
    .. '","communication_mode":"network","metadata":{"a":1},"heartbeat_interval_ms":86400000}')
end
