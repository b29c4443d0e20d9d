#!/bin/sh
# A worker on each host, which takes shards as they come, on folders that all hosts see under the same names:
#   deploy/ssh-workers.sh /data/pictures /data/answers 64 node1 node2 node3
# Give the same line again after a host or this machine went away: what is finished stays, the rest goes on.
# Several shards for each host: a fast one takes more of them. OPTIONS='--no-text ...' are given to every worker, and
# SSH=... names another way to run a command on a host.
set -eu
pictures=$1
out=$2
shards=$3
shift 3

workers=
for host; do
  ${SSH:-ssh -o BatchMode=yes} "$host" \
    "cd '$PWD' && exec unprompt '$pictures' -o '$out' --shards $shards --shard auto ${OPTIONS:-}" </dev/null &
  workers="$workers $!"
done
trap 'kill $workers 2>/dev/null' INT TERM

worst=0
for worker in $workers; do
  code=0
  wait "$worker" || code=$?
  # 3: some pictures failed, and the others were answered.
  [ "$code" -eq 0 ] || [ "$code" -eq 3 ] || worst=$code
done
[ "$worst" -eq 0 ] || echo "a worker ended with exit code $worst; give the same line again" >&2
exec unprompt merge "$out" -o "$out.jsonl" --overwrite
