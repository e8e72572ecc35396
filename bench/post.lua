-- post.lua - makes wrk repeat one POST and report the results as one line of JSON.
--
--     wrk -s post.lua URL -- BODY-FILE [HEADER: VALUE]...

local request_text

function init(args)
    local file = assert(io.open(args[1], "rb"))
    local body = file:read("*a")
    file:close()
    local headers = { ["Content-Type"] = "application/json" }
    for i = 2, #args do
        local name, value = args[i]:match("^([^:]+): (.*)$")
        headers[name] = value
    end
    request_text = wrk.format("POST", nil, headers, body)
end

function request()
    return request_text
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "seconds": %.6f, "bytes": %d, "errors": %d, '
            .. '"p50_us": %.1f, "p99_us": %.1f, "max_us": %.1f}\n',
        summary.requests, summary.duration / 1e6, summary.bytes,
        e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99), latency.max))
end
