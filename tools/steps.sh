# steps.sh - runs long steps and shows one line for each. Sourced by ./dev.

log_dir=build/log

# step LABEL COMMAND...
# Runs the command quietly, with a dot every few seconds. On failure shows the tail of
# its log and exits. With V=1 in the environment the output is shown as it comes.
step() {
    try_step "$@" && return
    echo >&2
    tail -n 60 "$step_log" >&2
    echo "./dev: '$step_label' failed; its full output is in $step_log" >&2
    exit 1
}

# Like step, but returns the status. The log is in $step_log.
try_step() {
    step_label=$1
    step_log=$log_dir/$(echo "$step_label" | tr A-Z a-z | tr -cs 'a-z0-9\n' - | cut -c1-40).log
    shift
    mkdir -p "$log_dir"

    if [ "${V:-}" = 1 ]; then
        echo "== $step_label" >&2
        { "$@" 2>&1 || echo $? >"$step_log.status"; } | tee "$step_log" >&2
        step_status=$(cat "$step_log.status" 2>/dev/null || echo 0)
        rm -f "$step_log.status"
        return "$step_status"
    fi

    printf '%s ' "$step_label" >&2
    (while sleep 5 >/dev/null 2>&1; do printf . >&2; done) >/dev/null &
    step_ticker=$!
    step_status=0
    "$@" >"$step_log" 2>&1 || step_status=$?
    kill "$step_ticker" 2>/dev/null || true
    wait "$step_ticker" 2>/dev/null || true
    if [ "$step_status" -eq 0 ]; then echo "ok" >&2; else echo "FAILED" >&2; fi
    return "$step_status"
}

# Prepares a build directory: configure DIR [MESON-ARGS...]
configure() {
    dir=$1
    shift
    [ -f "$dir/build.ninja" ] || step "configuring $dir" meson setup "$dir" "$@"
}
