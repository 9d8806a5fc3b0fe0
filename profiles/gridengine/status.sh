#!/usr/bin/env bash
# Tell Snakemake whether Grid Engine job $1 is running, has succeeded or has failed.
if qstat -j "$1" >/dev/null 2>&1; then
  echo running
  exit
fi
# The accounting file is written some seconds after a job has left the queue.
for _ in 1 2 3 4 5 6; do
  if record=$(qacct -j "$1" 2>/dev/null); then
    if grep -Eq '^failed +0' <<<"$record" && grep -Eq '^exit_status +0 *$' <<<"$record"; then
      echo success
    else
      echo failed
    fi
    exit
  fi
  sleep 5
done
echo failed
