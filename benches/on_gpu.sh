#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, within nine minutes: tests, memory checks, bytes, then times.
#   benches/on_gpu.sh OUTPUT_FOLDER [CHECKOUT_OF_STYLEGAN3]
# What is missing on the machine (compute-sanitizer, ncu, the checkout) is named and left out.
set -uo pipefail
out=${1:?expected a folder for the results}
peer=${2:-}
mkdir -p "$out"
cd "$(dirname "$0")/.."
export PYTHONPATH="python:benches${PYTHONPATH:+:$PYTHONPATH}"
python=${PYTHON:-python3}
failed=0

step() {  # NAME SECONDS COMMAND...
    local name=$1 seconds=$2
    shift 2
    echo "== $name"
    timeout "$seconds" "$@" > "$out/$name.log" 2>&1
    local code=$?
    tail -3 "$out/$name.log"
    [ $code -eq 0 ] || { echo "$name: exit $code"; failed=1; }
}

nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,memory.total --format=csv > "$out/gpu.csv" 2>&1
step tests 120 "$python" -m pytest -q tests/kernels -m gpu -p no:cacheprovider
step trainer 120 "$python" -m pytest -q tests/sdx -m gpu -p no:cacheprovider
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
        step "$tool" 45 compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" benches/touch_kernels.py
    done
else
    echo "compute-sanitizer is not installed: no memcheck, no racecheck" | tee "$out/memcheck.log"
fi
if command -v ncu > /dev/null; then
    step bytes 60 ncu --csv --metrics dram__bytes_read.sum,dram__bytes_write.sum "$python" benches/touch_kernels.py
else
    echo "ncu is not installed: bytes not measured" | tee "$out/bytes.log"
fi
step kernels 150 "$python" -m pytest -q benches/bench_kernels.py --rows "$out/kernels.jsonl" \
    ${peer:+--peer-stylegan3 "$peer"} -p no:cacheprovider
step steps 120 "$python" -m pytest -q benches/bench_gpu_step.py --rows "$out/steps.jsonl" \
    ${peer:+--peer-stylegan3 "$peer"} -p no:cacheprovider
exit $failed
