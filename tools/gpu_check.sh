#!/usr/bin/env bash
# What a GPU must show, in under eight minutes: the tests that need one, then speed and memory.
#
#   tools/gpu_check.sh OUT     writes OUT/tests.log, OUT/tests.xml and OUT/gpu_check.json
#
# The weights are random (speed does not depend on them), so nothing is downloaded.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: tools/gpu_check.sh OUT}
mkdir -p "$out" || exit 1
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

VIDRESTORE_REQUIRE_CUDA=1 timeout 200 python -m pytest -rs -m cuda tests \
    --junitxml "$out/tests.xml" >"$out/tests.log" 2>&1
tests=$?
tail -n 3 "$out/tests.log"
timeout 260 python tools/gpu_speed.py --out "$out/gpu_check.json" --tests-code $tests
speed=$?
[ $tests = 0 ] && [ $speed = 0 ]
