# Sourced by the `run` of the suites in Java: whatever way they end, their servers and $tmp end with them.
suite=
cleanup() {
    local code=$? pid
    if [ -n "$suite" ]; then kill "$suite" 2>/dev/null || true; fi
    for pid in "$tmp"/*/server.pid; do
        if [ "$code" -ne 0 ] && [ -s "${pid%.pid}.log" ]; then
            echo "--- the end of ${pid%.pid}.log" >&2
            tail -n 15 "${pid%.pid}.log" >&2
        fi
        if [ -f "$pid" ]; then "$here/../server.sh" kill "$(dirname "$pid")" || true; fi
    done
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
