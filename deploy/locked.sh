#!/bin/sh
# Prints the lines of requirements.lock that some steps install, as a requirements file of its own:
#
#   deploy/locked.sh STEP…        e.g. deploy/locked.sh core pipeline
#
# The steps are named in the lock's comments; README.md says what each is.
set -eu
lock=$(dirname "$0")/requirements.lock
for step in "$@"; do
    grep -q "^# for .*\b$step\b" "$lock" || { echo "locked.sh: unknown step '$step'" >&2; exit 2; }
done
exec awk -v steps="$*" '
    BEGIN { split(steps, names); for (i in names) wanted[names[i]] }
    /^# for / { taken = 0; for (i = 3; i <= NF; i++) if ($i in wanted) taken = 1 }
    taken && !/^#/' "$lock"
