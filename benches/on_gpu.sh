#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, within seven minutes: tests and memory checks side by side; then, alone on the
# machine, bytes and times.
#   [COMMIT=...] benches/on_gpu.sh OUTPUT_FOLDER [CHECKOUT_OF_STYLEGAN3]
# What is missing on the machine (compute-sanitizer, ncu, xdist, the checkout) is named and left out. COMMIT is what the
# rows say where this is no clone.
set -uo pipefail
out=${1:?expected a folder for the results}
peer=${2:-}
mkdir -p "$out"
out=$(realpath "$out")
peer=${peer:+$(realpath "$peer")}
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH="python:benches${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
python=${PYTHON:-python3}
failed=0

step() {  # NAME SECONDS COMMAND...; pytest, interrupted, still writes the rows it has
    local name=$1 seconds=$2 start=$SECONDS code
    shift 2
    timeout --signal=INT --kill-after=5 "$seconds" "$@" > "$out/$name.log" 2>&1
    code=$?
    printf '== %s: exit %s after %s s\n%s\n' "$name" $code $((SECONDS - start)) "$(tail -n 3 "$out/$name.log")"
    return $code
}

beside=()
aside() { step "$@" & beside+=($!); }

missing() { echo "== $1" | tee "$out/$2.log"; }

nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,memory.total --format=csv > "$out/gpu.csv" 2>&1

# pytest-benchmark warns of xdist, and a warning is an error.
tests=("$python" -m pytest -q -m gpu -p no:cacheprovider -p no:benchmark --maxfail=50 --tb=short)
if "$python" -c "import xdist" 2> /dev/null; then
    tests+=(-n 8)
else
    missing "xdist is not installed: tests run on one core, and may not end in time" xdist
fi
aside tests 110 "${tests[@]}" tests/kernels
aside trainer 110 "${tests[@]}" tests/sdx
[ -z "$peer" ] || aside plugins 110 "$python" -m peers.nvidia "$peer"  # compiled before they are timed
if command -v compute-sanitizer > /dev/null; then
    aside memcheck 110 compute-sanitizer --tool memcheck --error-exitcode 9 "$python" benches/touch_kernels.py
    # It names hazards within cuDNN's own sm90_xmma_dgrad kernels; all of ours are checked.
    aside racecheck 110 compute-sanitizer --tool racecheck --error-exitcode 9 \
        --kernel-name-exclude kernel_substring=cudnn "$python" benches/touch_kernels.py
else
    missing "compute-sanitizer is not installed: no memcheck, no racecheck" memcheck
fi
for job in "${beside[@]}"; do wait "$job" || failed=1; done

if command -v ncu > /dev/null; then
    names='bias_act|channelwise|crop_resize|embedding_loss|epilogue|noise|prototype_loss|strip|upfirdn2d'
    # Sizes well beyond the L2 cache, which would keep the bytes of smaller ones from DRAM.
    step bytes 50 ncu --csv --log-file "$out/bytes.csv" --print-units base --clock-control none \
        --kernel-name "regex:^(($names)(_[a-z]+)*|conv)_kernel\$" \
        --metrics dram__bytes_read.sum,dram__bytes_write.sum \
        "$python" benches/touch_kernels.py --batch 128 --rows 262144 --prototypes 262144 || failed=1
    "$python" benches/dram_bytes.py "$out/bytes.csv" "$out/bytes.log" 2>&1 | tee "$out/dram.log" || failed=1
else
    missing "ncu is not installed: bytes not measured" bytes
fi
bench=("$python" -m pytest -v -p no:cacheprovider ${peer:+--peer-stylegan3 "$peer"})
step kernels 105 "${bench[@]}" benches/bench_kernels.py --rows "$out/kernels.jsonl" || failed=1
step steps 110 "${bench[@]}" benches/bench_gpu_step.py --rows "$out/steps.jsonl" || failed=1
exit $failed
