#!/bin/bash

##
# Runs one campaign: the container's entry point.
# Needs env FUZZER, TARGET, MAGMA, OUT, SHARED, PROGRAM, and
# + env ARGS: arguments of the program; @@ stands for the test case
# + env FUZZARGS: arguments of the fuzzer
# + env POLL: seconds between two readings of the canaries (default: 5)
# + env TIMEOUT: how long to fuzz, as timeout(1) reads it (default: 1m)
# + env LOGSIZE: bytes of the fuzzer's log to keep (default: 1 MiB)
##

POLL="${POLL:-5}"
TIMEOUT="${TIMEOUT:-1m}"
LOGSIZE="${LOGSIZE:-$((1 << 20))}"
export MONITOR="$SHARED/monitor"

prune_seeds()
{
    local seed out
    for seed in "$TARGET/corpus/$PROGRAM"/*; do
        if ! out="$("$MAGMA/runonce.sh" "$seed")"; then
            echo "$seed: $out"
            rm -f "$seed"
        fi
    done
    # What is left?
    compgen -G "$TARGET/corpus/$PROGRAM/*" >/dev/null
}

# The stamp that this run starts at: 0, or one POLL after what an earlier run
# left in $SHARED.
first_stamp()
{
    local stamp last=-1
    for stamp in "$MONITOR"/*; do
        stamp="${stamp##*/}"
        if [[ "$stamp" =~ ^[0-9]+$ ]] && ((stamp > last)); then
            last="$stamp"
        fi
    done
    echo $((last < 0 ? 0 : last + POLL))
}

# poll_canaries STAMP: writes monitor/STAMP, unless no bug was reached so far.
poll_canaries()
{
    "$OUT/monitor" --dump row "$SHARED/canaries.raw" > "$MONITOR/tmp"
    if [ -s "$MONITOR/tmp" ]; then
        mv "$MONITOR/tmp" "$MONITOR/$1"
    else
        rm -f "$MONITOR/tmp"
    fi
}

microseconds()
{
    # The separator is the locale's.
    echo "${EPOCHREALTIME/[^0-9]/}"
}

# Polls on a schedule of its own, so that the stamps do not drift. Waits in
# read, which leaves no sleep behind when the loop is killed.
watch_canaries()
{
    local stamp="$1" start="$2" idle due left
    exec {idle}<> <(:)
    due="$start"
    while true; do
        poll_canaries "$stamp"
        stamp=$((stamp + POLL))
        due=$((due + POLL * 1000000))
        left=$((due - $(microseconds)))
        if ((left > 0)); then
            printf -v left '%d.%06d' $((left / 1000000)) $((left % 1000000))
            read -rt "$left" -u "$idle"
        fi
    done
}

# Waits for the logger to write what it has. A child that outlives its fuzzer
# holds the pipe open, and the campaign must not hang on it: multilog has written
# everything when it waits for more, and would wait on after a softer signal.
finish_log()
{
    local guard
    exec {log}>&-
    (
        read -rt 0.5 -u "$idle"
        kill -KILL "$logger"
    ) 2>/dev/null &
    guard=$!
    wait "$logger" 2>/dev/null
    kill "$guard" 2>/dev/null
}

mkdir -p "$MONITOR"
# The fuzzer and the target may write here.
cd "$SHARED" || exit 1

if ! prune_seeds; then
    echo "No seeds remaining! Campaign will not be launched."
    exit 1
fi

# The table has to be there before the first process looks for it.
"$OUT/monitor" "$SHARED/canaries.raw" >/dev/null || exit 1
rm -f "$MONITOR"/tmp*
exec {idle}<> <(:)
exec {log}> >(exec multilog n2 "s$LOGSIZE" "$SHARED/log")
logger=$!

echo "Campaign launched at $(date '+%F %R')"
begin="$(first_stamp)"
start="$(microseconds)"
watch_canaries "$begin" "$start" {log}>&- &
watcher=$!
timeout -k 5 "$TIMEOUT" "$FUZZER/run.sh" >&"$log" {log}>&- &
campaign=$!

# As process 1 of a container, only signals with a handler arrive.
trap 'kill "$campaign"' TERM INT
while kill -0 "$campaign" 2>/dev/null; do
    wait "$campaign"
done
elapsed=$(( ($(microseconds) - start) / 1000000 ))

# What happened since the last poll counts too.
kill "$watcher"
wait "$watcher" 2>/dev/null
poll_canaries $((begin + elapsed))

finish_log
if [ -f "$SHARED/log/current" ]; then
    cat "$SHARED/log/current"
fi
echo "Campaign terminated at $(date '+%F %R')"
