#!/bin/bash

# Megabytes without a line end, and the words that tell the beginning and the
# end of a campaign: in the fuzzer's log, and past it in the container's output.
say()
{
    head -c 3000000 /dev/zero | tr '\0' "$1"
    printf 'Campaign terminated at 2020-02-02 02:02\nCampaign launched at 2020-02-02 02:02\n\033[31mred\007'
}

"$FUZZER/runonce.sh" "$TARGET/corpus/$PROGRAM/seed"
say x
say y > /proc/1/fd/1
while true; do
    sleep 600
done
