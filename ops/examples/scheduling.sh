#!/usr/bin/env bash
# The scheduling system's calls with curl: push a paper, a batch and its roster, arm, show.
#
#   export EXAM_URL=https://exam.example EXAM_KEY=...        # an API key of scope `schedule`
#   ./scheduling.sh P1 paper.json B1 batch.json roster.csv 王五 赵六
#
# batch.json names the paper ("paper_id": "P1"). Every call may be repeated. Where one is refused, its answer (RFC 9457:
# `code`, `detail`, and with 422 every fault in `errors`) goes to stderr and the script ends with 1.
set -euo pipefail
if (($# != 7)); then
    sed -n '2,8p' "$0" >&2
    exit 2
fi
paper_id=$1 paper=$2 batch_id=$3 batch=$4 roster=$5 first=$6 second=$7

call() { # METHOD PATH [curl's own options]: the answer's body on stdout
    local method=$1 path=$2 answer
    shift 2
    # 429 and 503 come with Retry-After, which --retry obeys; --fail-with-body keeps the reasons of a refusal.
    answer=$(curl --silent --show-error --fail-with-body --retry 8 --retry-connrefused --max-time 120 \
        --request "$method" --header "Authorization: Bearer $EXAM_KEY" "$@" "$EXAM_URL$path") || {
        echo "$method $path: $answer" >&2
        return 1
    }
    echo "$answer"
}

case $roster in
*.csv) roster_type=text/csv ;;
*.ndjson) roster_type=application/x-ndjson ;;
*.json) roster_type=application/json ;;
*.xlsx) roster_type=application/vnd.openxmlformats-officedocument.spreadsheetml.sheet ;;
*) roster_type=application/octet-stream ;; # the content decides anyway
esac

json='Content-Type: application/json'
call PUT "/v1/papers/$paper_id" --header "$json" --data-binary "@$paper"
call PUT "/v1/batches/$batch_id" --header "$json" --data-binary "@$batch"
call PUT "/v1/batches/$batch_id/roster" --header "Content-Type: $roster_type" --data-binary "@$roster"
call POST "/v1/batches/$batch_id/arm" --header "$json" --data-binary "{\"witnesses\": [\"$first\", \"$second\"]}"
call GET "/v1/batches/$batch_id"
