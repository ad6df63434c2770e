#!/usr/bin/env bash
# What the .pth hook costs at interpreter start where pyiqa is never imported: milliseconds of our import, five times.
#     benchmarks/hook.sh [PYTHON]
set -euo pipefail
python=${1:-python}
cd /
for _ in 1 2 3 4 5; do
  "$python" -X importtime -c pass 2>&1 | awk -F'|' '{gsub(/ /, "", $3)} $3 == "pyiqa_moeagiqa" {printf "%.2f ms\n", $2 / 1000}'
done
