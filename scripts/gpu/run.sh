#!/usr/bin/env bash
# What is to be done on a GPU, one command for each visit; every result is written when it is known.
#
#   scripts/gpu/run.sh first [--toy] [OUT]    is it right (part 1), how fast is it (part 2): 4 minutes
#   scripts/gpu/run.sh worth [--toy] [OUT]    what data are worth, the sky (parts 3 to 5): 6 minutes
#
# OUT, by default $OUT, else gpu-results, gets results.jsonl (a line of JSON a result), report.md,
# log.txt, profile.txt, worth.png and the networks of the sky. `worth` reads the folder $BUNDLE (bundle), which
# scripts/gpu/bundle.py makes where the data are; EPOCHS (20), SEEDS (2: so many trainings at a time),
# MINUTES (5) and SKY_EPOCHS (60; 0: none) change it. Packages in wheels/ are used where it is there.
# --toy runs all of it on a CPU in a minute or two; it makes a bundle of the demo for itself.
set -uo pipefail
what=${1:?first or worth}; shift
toy=; [ "${1:-}" = --toy ] && { toy=--toy; shift; }
out=${1:-${OUT:-gpu-results}}
mkdir -p "$out" && out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD:$PWD/scripts:$PWD/scripts/gpu${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
if compgen -G "wheels/*.whl" > /dev/null; then
    site=$(mktemp -d)
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" \
        wheels/*.whl && export PYTHONPATH="$PYTHONPATH:$site"
fi
failed=0

part() { # seconds, name, command: a part has its time and no more, and the next one goes on
    local seconds=$1 name=$2 code; shift 2
    timeout -k 5 "$seconds" "$python" "$@" 2>&1 | sed -u "s/^/$name: /" >> "$out/log.txt"
    code=${PIPESTATUS[0]}
    echo "$name: exit code $code$([ "$code" != 124 ] || echo ', its time was over')"
    [ "$code" = 0 ] || { failed=1; grep "^$name: " "$out/log.txt" | tail -n 5; }
    return "$code"
}

case $what in
first)
    part 110 correctness scripts/gpu/correctness.py "$out" $toy
    part 140 bulk scripts/gpu/bulk.py "$out" --minutes "${MINUTES:-5}" $toy ${toy:+--rounds 1}
    ;;
worth)
    bundle=${BUNDLE:-bundle} minutes=${MINUTES:-5} seeds=${SEEDS:-2} epochs=${EPOCHS:-20}
    more=() started=() sky=${SKY_EPOCHS:-60}
    if [ -n "$toy" ]; then
        bundle=${BUNDLE:-$(mktemp -d)} minutes=1 seeds=1 epochs=1 more=(--most 4) sky=${SKY_EPOCHS:-1}
        [ -f "$bundle/base.npz" ] || part 120 bundle scripts/gpu/bundle.py "$bundle" --toy
    fi
    limit=$("$python" -c "print(round(60 * $minutes) + 20)")
    for ((seed = 0; seed < seeds; seed++)); do
        part "$limit" "worth-$seed" scripts/gpu/worth.py "$out" --bundle "$bundle" --seed "$seed" \
            --epochs "$epochs" --minutes "$minutes" $toy "${more[@]}" &
        started+=($!)
    done
    if [ "$sky" != 0 ]; then
        part "$limit" sky scripts/gpu/sky_folds.py "$out" --bundle "$bundle" --epochs "$sky" $toy &
        started+=($!)
    fi
    for one in "${started[@]}"; do wait "$one" || failed=1; done
    ;;
*)
    echo "first or worth, not $what" >&2
    exit 2
    ;;
esac
part 40 collected scripts/gpu/collected.py "$out"
cat "$out/report.md"
exit $failed
