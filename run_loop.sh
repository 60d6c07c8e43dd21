#!/usr/bin/env bash
#
# Captions overnight: runs `caption.py run` and starts it afresh every N photos.
#
# A fresh process gives back the memory that long runs on a GPU leak. What happens next depends
# only on the documented exit codes (docs/exit-codes.md) and on whether the journal grew: uv and
# python exit with 2 for errors of their own, so a 2 alone is no reason to go on.
#
# Runs on bash 3.2 (macOS): no associative arrays, and an empty array is guarded under `set -u`.
# There is no `set -e`, because a batch that ends with 2 is the normal case.

set -u

readonly DEFAULT_BACKEND=local
readonly DEFAULT_MODEL=Qwen/Qwen2.5-VL-3B-Instruct
readonly CRASH_LIMIT=3
readonly LOOK="look above and into the log (LOG_FILE, by default caption.log)"
readonly CRASH_PAUSE=${CRASH_PAUSE:-5} # seconds; a driver needs a moment after a crash

batch_size=${BATCH:-5000}
backend=
model=
flags=()      # passed on to `caption.py run` as they are
since=        # the loop's start, in UTC; empty if the person gave a time
program=()    # the command line that starts caption.py
arguments=()  # of `caption.py run`, the same in every batch
journal=      # absolute path, as the run itself names it
scratch=      # what the program answers to --show-setting
child=        # process id, and process group, of what runs now
status=0      # exit code of the last child
crashes=0     # since the journal last grew
stop_signal=  # name of the signal that asked for the end, or empty
stop_status=0 # 128 + its number

usage() {
    cat <<'USAGE'
Usage: ./run_loop.sh [--batch N] [BACKEND [MODEL]] [FLAGS of 'caption.py run' ...]

Runs 'caption.py run' and starts it afresh every N photos, until every photo is done.

  BACKEND     who writes the captions (default: local)
  MODEL       default with the backend local: Qwen/Qwen2.5-VL-3B-Instruct;
              with another one: MODEL in config.env, else the backend's own default
  --batch N   photos between two restarts (default: 5000, or BATCH in the environment)
  FLAGS       everything from the first other flag on goes to 'caption.py run' unchanged, and
              so does everything after '--'. BACKEND and MODEL come before them.
  -h, --help  this text

--backend, --model and --restart-every mean BACKEND, MODEL and --batch here, too. BACKEND in
config.env is not asked: the loop always names its backend. '--files-from -' cannot work, because
standard input can be read only once. Unless you give --since, the start of the loop is passed on
as --since, so that --force and --retry-status do not begin again at each restart.

Relative paths are relative to where you are. caption.py is the one beside this script. It is
started by 'uv run' if there is a uv, else by the python3 of the active virtualenv, of .venv beside
this script, or of PATH. CAPTION in the environment replaces all that: the words of a command
line, split at spaces, such as CAPTION='python3 /opt/captions/caption.py'.

Overnight, in one of these ways:
  nohup ./run_loop.sh --photos-dir ~/Pictures > loop.log 2>&1 &
  systemd-run --user --same-dir --unit=captions "$PWD/run_loop.sh" --photos-dir ~/Pictures
  tmux new -s captions './run_loop.sh --photos-dir ~/Pictures; exec bash'
More examples:
  ./run_loop.sh mock --photos-dir ~/Pictures             a rehearsal without a GPU
  ./run_loop.sh --batch 2000 local Qwen/Qwen3-VL-4B-Instruct --retry-status error_model

To stop: Ctrl+C, or kill the process id of this script. What is under way is finished (up to
10 s); once more stops at once. The loop says how to go on from there.

The exit code is that of the last batch; 2 if the batch ended with 2 but wrote nothing; 128+n if
signal n stopped the loop. A process that died (134, 135, 137, 139) is started again, after CRASH_PAUSE
seconds (default 5), at most 3 times without a new line in the journal. The photos that the backend
had then come last; one that the program dies of time and again is recorded and passed over.
USAGE
}

say() {
    printf '%s run_loop: %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$*" >&2
}

usage_error() {
    say "$1; see './run_loop.sh --help'"
    exit 64
}

# --- the command line ---------------------------------------------------------------------------

parse_command_line() {
    while (($#)); do
        case $1 in
            -h | --help) usage && exit 0 ;;
            --batch | --restart-every | --backend | --model)
                (($# > 1)) || usage_error "$1 needs a value"
                set_option "$1" "$2"
                shift
                ;;
            --batch=* | --restart-every=* | --backend=* | --model=*)
                set_option "${1%%=*}" "${1#*=}"
                ;;
            --) shift && flags+=("$@") && return ;;
            *) take_word "$1" ;;
        esac
        shift
    done
}

set_option() {
    [[ -n $2 ]] || usage_error "the value of $1 is empty"
    case $1 in
        --backend) backend=$2 ;;
        --model) model=$2 ;;
        *) batch_size=$2 ;;
    esac
}

# BACKEND and MODEL stand before the first flag; later words may be the values of flags.
take_word() {
    if ((${#flags[@]})) || [[ $1 == -* || -n $model ]]; then
        flags+=("$1")
    elif [[ -z $backend ]]; then
        set_option --backend "$1"
    else
        set_option --model "$1"
    fi
}

has_flag() {
    local word
    for word in ${flags[@]+"${flags[@]}"}; do
        [[ $word != "$1" && $word != "$1="* ]] || return 0
    done
    return 1
}

check_command_line() {
    [[ $batch_size =~ ^[1-9][0-9]*$ ]] ||
        usage_error "--batch (or BATCH) is '$batch_size': expected a number of photos, at least 1"
    local word previous=
    for word in ${flags[@]+"${flags[@]}"}; do
        [[ "$previous $word" != '--files-from -' && $word != '--files-from=-' ]] ||
            usage_error "standard input can be read only once; write the list of photos to a file"
        previous=$word
    done
}

# A record that the run before wrote in this very second is older than this loop: so the
# milliseconds, and where date has none (macOS) the next second.
now() {
    local time
    time=$(date -u '+%Y-%m-%dT%H:%M:%S.%3NZ')
    if [[ $time == *N* ]]; then
        sleep 1
        time=$(date -u '+%Y-%m-%dT%H:%M:%SZ')
    fi
    printf '%s' "$time"
}

compose_arguments() {
    backend=${backend:-$DEFAULT_BACKEND}
    if [[ $backend == "$DEFAULT_BACKEND" ]]; then
        model=${model:-$DEFAULT_MODEL}
    fi
    arguments=(--backend "$backend")
    [[ -z $model ]] || arguments+=(--model "$model")
    arguments+=(--restart-every "$batch_size")
    if ! has_flag --since; then
        since=$(now)
        arguments+=(--since "$since")
    fi
    arguments+=(${flags[@]+"${flags[@]}"})
}

# --- signals and children -----------------------------------------------------------------------

# A signal that is ignored on entry stays ignored, here and in the program: bash sets no trap for
# it. That is how nohup survives a hang-up.
set_traps() {
    trap 'rm -f -- "$scratch"' EXIT
    trap 'request_stop INT 2' INT
    trap 'request_stop TERM 15' TERM
    trap 'request_stop HUP 1' HUP
    # Ctrl+C also ends the tee in `./run_loop.sh 2>&1 | tee log`; the next line said must not
    # kill the loop while the program still writes.
    trap '' PIPE
    # The program is not in the terminal's foreground group: with `stty tostop` its first line
    # would stop it.
    trap '' TTOU
}

request_stop() {
    stop_signal=$1
    stop_status=$((128 + $2))
    [[ -z $child ]] || forward_signal
}

# To the whole group: `uv run` stands between this script and the program, and not every version
# of it passes every signal on. The program takes two within a second for one.
forward_signal() {
    kill -s "$stop_signal" -- "-$child" 2>/dev/null # it may have ended just now
    kill -s CONT -- "-$child" 2>/dev/null           # a stopped one would not notice
}

# Run a command to its end; its exit code is left in `status`.
#
# In the background, because a trap has to wait for a foreground command; and in a process group
# of its own (set -m), because a background child of a script otherwise ignores Ctrl+C.
run_child() {
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    [[ -z $stop_signal ]] || forward_signal # it came before there was somebody to tell
    wait_for_child
    child=
    [[ -z $stop_signal ]] || stop_for_signal
}

# `wait` also returns when a trap has run. Its status is wrong then, but no longer asked for.
# Its stderr would be bash's own "line 180: 4711 Killed", which the loop says better.
wait_for_child() {
    wait "$child" 2>/dev/null
    status=$?
    while kill -0 "$child" 2>/dev/null; do
        wait "$child" 2>/dev/null
        status=$?
    done
}

stop_for_signal() {
    local addition=
    if has_flag --force || has_flag --retry-status || has_flag --retry-only; then
        addition=${since:+, with --since $since added,}
    fi
    say "stopped by SIG$stop_signal; the same command$addition goes on from here"
    exit "$stop_status"
}

# --- the program --------------------------------------------------------------------------------

find_program() {
    local home
    home=$(script_folder)
    read -r -a program <<<"${CAPTION:-}"
    ((${#program[@]} == 0)) || return
    if command -v uv >/dev/null; then
        program=(uv run --project "$home")
        use_extra_of "$home/caption.py"
    else
        program=("$(find_python "$home")" "$home/caption.py")
    fi
}

# Where this file lies, whatever links lead to it; `readlink -f` is missing on older macOS.
script_folder() {
    local script=${BASH_SOURCE[0]} target
    while [[ -L $script ]]; do
        target=$(readlink "$script")
        [[ $target == /* ]] || target=$(dirname "$script")/$target
        script=$target
    done
    (CDPATH='' cd -- "$(dirname -- "$script")" && pwd -P)
}

find_python() {
    local python
    for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python3}" "$1/.venv/bin/python3"; do
        [[ ! -x $python ]] || break
        python=python3
    done
    printf '%s\n' "$python"
}

# uv installs what the backend needs: the program knows the name of the extra.
use_extra_of() {
    local extra uv=("${program[@]}")
    program+=("$1")
    show_setting extra
    extra=$(<"$scratch")
    [[ -z $extra ]] || program=("${uv[@]}" --extra "$extra" "$1")
}

# What this very run would use, left in the file `scratch`. Wrong flags and settings end the loop
# here, before the first photo, with the program's own message and exit code.
show_setting() {
    run_child "${program[@]}" run "${arguments[@]}" --show-setting "$1" >"$scratch"
    ((status == 0)) || finish "$status" "no batch was started"
}

find_journal() {
    show_setting captions_jsonl
    journal=$(<"$scratch")
    [[ $journal == /* ]] || finish 64 "'${program[*]}' does not name its journal"
}

# --- the loop -----------------------------------------------------------------------------------

# In bytes. `stat` has other flags on macOS than on Linux.
journal_size() {
    if [[ -f $journal ]]; then
        wc -c <"$journal"
    else
        echo 0
    fi
}

run_batches() {
    local batch=0 before grown report
    while true; do
        batch=$((batch + 1))
        before=$(journal_size)
        run_child "${program[@]}" run "${arguments[@]}"
        grown=$(($(journal_size) - before))
        report=$(printf 'batch %d: exit code %d, journal %+d bytes' "$batch" "$status" "$grown")
        ((grown <= 0)) || crashes=0
        case $status in
            2) restart_if_grown "$report" "$grown" ;;
            134 | 135 | 137 | 139) restart_after_crash "$report" ;;
            *) finish "$status" "$report" ;;
        esac
    done
}

restart_if_grown() {
    (($2 > 0)) || finish 2 "$1"
    say "$1; restarting"
}

restart_after_crash() {
    crashes=$((crashes + 1))
    ((crashes <= CRASH_LIMIT)) || finish "$status" "$1, again without progress"
    say "$1: $(meaning "$status")"
    say "restarting in $CRASH_PAUSE s; restart $crashes of $CRASH_LIMIT without progress"
    run_child sleep "$CRASH_PAUSE"
}

finish() {
    say "$2; stopping: $(meaning "$1")"
    exit "$1"
}

meaning() {
    case $1 in
        0) echo "all that was asked for is done" ;;
        2) echo "nothing was written, so starting again would not help; $LOOK (uv and python" \
            "exit with 2 for errors of their own)" ;;
        3) echo "a ceiling is reached: --max-cost, --max-requests or a runaway bill" ;;
        64) echo "a flag or its value makes no sense, see above" ;;
        66) echo "there are no photos, or their directory went away" ;;
        69) echo "the backend cannot be used: server down, or the model does not load" ;;
        74) echo "the journal or the disk failed, see above before you start again" ;;
        75) echo "another run holds the journal" ;;
        77) echo "the provider rejects the key, or the account is empty" ;;
        78) echo "a setting is missing or wrong, see above for the line to add" ;;
        126) echo "'${program[0]}' cannot be executed" ;;
        127) echo "'${program[0]}' is not there" ;;
        129 | 130 | 143) echo "somebody stopped the program with a signal" ;;
        134) echo "the program aborted, as a driver or library does on a fatal error" ;;
        135) echo "the program crashed (bus error), as with a bad disk, memory or driver" ;;
        137) echo "the program was killed, usually because memory ran out" ;;
        139) echo "the program crashed (segmentation fault), as with a broken driver" ;;
        *) echo "nobody foresaw this; $LOOK" ;;
    esac
}

main() {
    parse_command_line "$@"
    check_command_line
    compose_arguments
    scratch=$(mktemp "${TMPDIR:-/tmp}/run_loop.XXXXXX") || finish 74 "no temporary file"
    set_traps
    find_program
    find_journal
    say "backend $backend, up to $batch_size photos a batch, journal $journal"
    run_batches
}

main "$@"
