#!/usr/bin/env bash
# Mine hard negatives as a Slurm job array: a task per shard, and then one job that merges them.
#
#   sbatch --array=0-15 --cpus-per-task=16 examples/clusters/slurm.sh FOLDER --queries Q.npy --corpus C.npy --positives P.tsv
#   sbatch --dependency=afterok:JOB examples/clusters/slurm.sh FOLDER
#
# A task that is killed or runs out of time goes on from its last finished tile when the array is submitted again. FOLDER
# and the files lie on storage that all nodes share.
set -euo pipefail
folder=$1
shift

if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then
    exec negmine mine "$@" --job "$folder/shards/$SLURM_ARRAY_TASK_ID" --resume \
        --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --num-threads "${SLURM_CPUS_PER_TASK:-1}"
fi
exec negmine merge "$folder"/shards/* --out "$folder/all"
