#!/usr/bin/env bash
# Captions overnight: runs `caption.py run` in batches until every photo is done. What is next depends
# on exit codes (docs/exit-codes.md) and, as uv and python exit with 2 as well, on the number of new
# records that the program writes into $CAPTION_LOOP, where it finds `again` after the first ones.
set -u # for bash 3.2 (macOS)
usage() {
    cat <<'USAGE'
Usage: ./run_loop.sh [--batch N] [BACKEND [MODEL]] [FLAGS of 'caption.py run' ...]

Runs 'caption.py run' in batches of N photos (default: BATCH, else 5000) until every photo is done.
BACKEND and MODEL are else those of config.env, else 'local' and its default. All from the first
other flag on goes to the program. Nothing is installed, no model downloaded: see README.md. The
program is caption.py beside this script, run by the python3 of the active virtualenv, else of .venv
beside the script, else of PATH; or the words of CAPTION, such as CAPTION='uv run caption.py'.

Overnight, in one of these ways:
  nohup ./run_loop.sh --photos-dir ~/Pictures > loop.log 2>&1 &
  systemd-run --user --same-dir -p OOMPolicy=continue "$PWD/run_loop.sh" --photos-dir ~/Pictures
  tmux new -s captions './run_loop.sh --photos-dir ~/Pictures; exec bash'

To stop: Ctrl+C, or kill this script. What is under way is finished (10 s); once more stops at once.
The exit code is that of the last batch, or 128+n after signal n. A process that died (134, 135, 137,
139) is started again, after CRASH_PAUSE seconds (5), at most 3 times without a new record.
USAGE
}
say() { printf '%s run_loop: %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$*" >&2; }
finish() { say "exit code $status, $new new records; stopping: $1" && exit "$status"; }
tell() { kill -s "$stop" -- "-$child" && kill -s CONT -- "-$child"; } 2>/dev/null
ask_to_stop() { stop=$1 code=$2 && if [[ -n $child ]]; then tell; fi; }
run() { # in the background, as a trap waits for the foreground; -m, or it would ignore Ctrl+C
    set -m
    "$@" </dev/null &
    child=$! && set +m
    if [[ -n $stop ]]; then tell; fi
    wait "$child" 2>/dev/null && status=0 || status=$? # it returns early when a trap has run
    while kill -0 "$child" 2>/dev/null; do wait "$child" 2>/dev/null && status=0 || status=$?; done
    child='' && if [[ -z $stop ]]; then return; fi
    say "stopped by SIG$stop; the same command goes on (after --force or --retry: --since $since)"
    exit "$code"
}
child='' stop='' backend='' model='' batch=${BATCH:-5000} crashes=0 new=0 again='' status=64
while (($#)) && [[ $1 != -- ]]; do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --batch) batch=${2-} && if (($# > 1)); then shift; fi ;;
        --batch=*) batch=${1#*=} ;;
        -*) break ;;
        *) if [[ -z $backend ]]; then backend=$1; elif [[ -z $model ]]; then model=$1; else break; fi ;;
    esac
    shift
done
if [[ ${1-} == -- ]]; then shift; fi
[[ $batch =~ ^[1-9][0-9]*$ ]] || finish "--batch '$batch': expected a number, at least 1; see --help"
since=$(date -u '+%Y-%m-%dT%H:%M:%S.%3NZ') # of the second before, a record would count as new
if [[ $since == *N* ]]; then sleep 1 && since=$(date -u '+%Y-%m-%dT%H:%M:%SZ'); fi
home=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
read -r -a program <<<"${CAPTION:-}"
for python in "${VIRTUAL_ENV:-/none}/bin/python3" "$home/.venv/bin/python3" "$(command -v python3)"; do
    if ((${#program[@]} == 0)) && [[ -x $python ]]; then program=("$python" "$home/caption.py"); fi
done
((${#program[@]})) || finish "there is no python3"
run=(run --restart-every "$batch" ${backend:+--backend "$backend"} ${model:+--model "$model"})
if [[ " $* " != *" --since"* ]]; then run+=(--since "$since"); fi
CAPTION_LOOP=$(mktemp "${TMPDIR:-/tmp}/run_loop.XXXXXX") && export CAPTION_LOOP || exit 74
trap 'rm -f -- "$CAPTION_LOOP"' EXIT
trap 'ask_to_stop INT 130' INT && trap 'ask_to_stop TERM 143' TERM && trap 'ask_to_stop HUP 129' HUP
trap '' PIPE TTOU # Ctrl+C also ends the tee of `./run_loop.sh | tee log`; and for `stty tostop`
while true; do
    echo "$again" >"$CAPTION_LOOP" && run "${program[@]}" "${run[@]}" "$@"
    new=$(<"$CAPTION_LOOP") && if [[ ! $new =~ ^[0-9]+$ ]]; then new=0; fi
    ((new == 0)) || crashes=0 again=again
    case $status in
        0) finish "all that was asked for is done" ;;
        2) ((new > 0)) || finish "nothing new was recorded, so going on would not help; look above" ;;
        134 | 135 | 137 | 139) ((++crashes <= 3)) || finish "it died time and again without progress" ;;
        *) finish "see above, and docs/exit-codes.md" ;;
    esac
    say "exit code $status, $new new records; restarting"
    if ((status != 2)); then run sleep "${CRASH_PAUSE:-5}"; fi
done
