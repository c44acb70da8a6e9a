#!/usr/bin/env bash
# The evaluation system's calls with curl: a batch's results, and the feed from where the last run stopped.
#
#   export EXAM_URL=https://exam.example EXAM_KEY=...        # an API key of scope `results`
#   ./evaluation.sh results B1 > results.ndjson
#   ./evaluation.sh feed cursor.txt > page.json              # again and again: each run takes what is new
#   ./evaluation.sh responses SITTING_ID
#   ./evaluation.sh history SITTING_ID
#   ./evaluation.sh keys > keys.json
set -euo pipefail

get() { # PATH [curl's own options]
    local path=$1
    shift
    curl --silent --show-error --fail-with-body --retry 8 --retry-connrefused --max-time 300 \
        --header "Authorization: Bearer $EXAM_KEY" "$@" "$EXAM_URL$path"
}

feed() { # CURSOR_FILE: one page on stdout; the cursor moves only after the page is out
    local after="" page
    if [[ -s $1 ]]; then after=$(<"$1"); fi
    page=$(get "/v1/results?limit=500&after=$after")
    printf '%s\n' "$page"
    # `next` is the answer's last member, always there; a file that is moved into place is never half written.
    printf '%s' "$page" | sed -n 's/.*"next" *: *"\([0-9]*\)" *} *$/\1/p' >"$1.new"
    mv "$1.new" "$1"
}

case "${1:-} $#" in
"results 2") get "/v1/batches/$2/results" --header 'Accept: application/x-ndjson' ;;
"feed 2") feed "$2" ;;
"responses 2") get "/v1/sittings/$2/responses" ;;
"history 2") get "/v1/sittings/$2/history" ;;
"keys 1") get /v1/keys ;;
*)
    sed -n '2,9p' "$0" >&2
    exit 2
    ;;
esac
