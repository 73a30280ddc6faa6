#!/usr/bin/env bash
# The long tests, which take hours and are run before a release: see the usage below.
set -uo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'USAGE'
Usage: tools/soak.sh [OPTION ...] [PART ...]

Runs the long tests one after the other and says at the end which of them failed.
Without a PART all are run:

  fuzz      restores damaged files and judges every result   (tools/fuzz_damage.py, about 2 h)
  hostile   runs on hostile inputs, options and weights      (tools/hostile_table.py, about 10 min)
  kills     kills runs at random moments, and goes on        (tools/kill_runs.py, about 20 min)
  clock     hours of variable frame rate without drift       (tools/long_clock.py, about 5 min)
  many      a hundred files in one process without growth    (tools/many_files.py, about 5 min)
  sums      sums the decoded output of a dozen runs          (tools/decoded_sums.py, about 5 min)
  tests     long variants of the tests                       (pytest -m soak, about 5 min)

Options:
  --count N      files to damage, and a tenth as many runs to kill (500)
  --seed N       of the damage and of the moments (the day's number)
  --jobs N       processes at once, for fuzz (2)
  --out FOLDER   logs, results, and files with a bad verdict (soak)
  --sums FILE    what the part sums must equal; without it they are only written to FOLDER/sums.log
  --help         this text

fuzz, sums and tests need the shared folder (../shared, or VIDRESTORE_SHARED).
The exit code is 1 if a part failed, 2 for a wrong option.
USAGE
}

refuse() {
    echo "tools/soak.sh: $1; see tools/soak.sh --help" >&2
    exit 2
}

parts=() count=500 seed=$(($(date +%s) / 86400)) jobs=2 out=soak sums=
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage; exit 0 ;;
        --count | --seed | --jobs | --out | --sums)
            [ $# -ge 2 ] || refuse "$1 needs a value"
            case $1 in
                --out | --sums) ;;
                *) [[ $2 =~ ^[0-9]+$ ]] || refuse "$1 needs a number, not '$2'" ;;
            esac
            printf -v "${1#--}" %s "$2"
            shift 2 ;;
        fuzz | hostile | kills | clock | many | sums | tests) parts+=("$1"); shift ;;
        *) refuse "there is no part or option '$1'" ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(fuzz hostile kills clock many sums tests)
[ -z "$sums" ] || [ -f "$sums" ] || refuse "--sums $sums is no file"

shared=${VIDRESTORE_SHARED:-../shared}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$out" || exit 1

fuzz() {
    python tools/fuzz_damage.py --from "$shared/damaged/intact" --count "$count" \
        --first-seed $((seed * 1000)) --jobs "$jobs" --out "$out/fuzz"
}
hostile() {
    local folder=()
    [ ! -d "$shared/hostile" ] || folder=(--folder "$shared/hostile")
    python tools/hostile_table.py "${folder[@]}"
}
kills() { python tools/kill_runs.py --count $(((count + 9) / 10)) --seed "$seed"; }
clock() { python tools/long_clock.py --seed "$seed"; }
many() { python tools/many_files.py; }
sums() {
    python tools/decoded_sums.py "$shared/clips" || return 1
    [ -z "$sums" ] || diff "$sums" "$out/sums.log"
}
tests() { VIDRESTORE_REQUIRE_SHARED=1 python -m pytest -m soak; }

failed=0
for part in "${parts[@]}"; do
    echo "== $part, seed $seed"
    begun=$SECONDS
    "$part" >"$out/$part.log"
    code=$?
    tail -n 3 "$out/$part.log"
    [ $code = 0 ] && result=passed || { result="FAILED (exit code $code)"; failed=1; }
    summary+="$(printf '%-8s %s, %d s, %s' "$part" "$result" $((SECONDS - begun)) "$out/$part.log")"$'\n'
done
echo "== summary of $(git rev-parse --short HEAD 2>/dev/null || echo 'no commit'), count $count"
printf %s "${summary:-}"
exit $failed
