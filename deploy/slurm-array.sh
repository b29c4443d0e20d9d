#!/bin/sh
#SBATCH --job-name=unprompt
#SBATCH --array=0-31
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@60
# One shard a task, on folders that all nodes see:
#   job=$(sbatch --parsable deploy/slurm-array.sh /data/pictures /data/answers)
#   sbatch --dependency=afterany:"$job" --wrap 'unprompt merge /data/answers -o /data/answers.jsonl'
# Tasks that ran out of time go on when they are given again: sbatch --array=3,7 deploy/slurm-array.sh ...
# SHARDS stays what --array was at first, for it decides which pictures a shard has.
set -eu
pictures=$1
out=$2
shift 2

# exec: the signal that comes before the time is up reaches unprompt itself, which gives its shard up at once.
exec unprompt "$pictures" -o "$out" --shards "${SHARDS:-32}" --shard "$SLURM_ARRAY_TASK_ID" \
  --threads "${SLURM_CPUS_PER_TASK:-1}" "$@"
