#!/usr/bin/env bash
# Everything that only a graphics card can show, in one go: at most eight minutes, without network.
#
#     benchmarks/on_gpu.sh                 the first part, on the card
#     benchmarks/on_gpu.sh --part 2        what did not fit into the first eight minutes
#     benchmarks/on_gpu.sh --tiny          with a tiny model, on the CPU: does the check itself run
#
# The last line of the output is JSON; a check that fails says why, and the next one goes on. It ends
# with 1 if one failed. PYTHON names the interpreter (the environment's own, else python3). A machine
# that lacks packages gets them from WHEELS, a folder of wheels that came along; torch is not in it.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
if [ -n "${WHEELS:-}" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$WHEELS"/*.whl
fi
export PYTHONPATH="$PWD${site:+:$site}${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 PYTHONUNBUFFERED=1
"$python" -m benchmarks.gpu "$@"
