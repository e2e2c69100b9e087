#!/usr/bin/env bash
# Start a Ray head on this machine, reachable by `ray job submit`; Ctrl-C stops this Ray and no other.
#
#   clusters/loopback.sh [more options of `ray start`]
#
# Ports: TBAR_RAY_PORT (6399) and TBAR_RAY_DASHBOARD_PORT (8265). See clusters/README.md.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
port=${TBAR_RAY_PORT:-6399}
dashboard_port=${TBAR_RAY_DASHBOARD_PORT:-8265}
folder=${XDG_RUNTIME_DIR:-/tmp}/tbar-ray-loopback
token=$folder/token

# jobs inherit this environment: they find `tbar` where this repository's virtual environment is
if [[ -x $root/.venv/bin/ray ]]; then
    export PATH="$root/.venv/bin:$PATH"
fi
if ! command -v ray >/dev/null; then
    echo "error: no ray command; run 'make install' first" >&2
    exit 2
fi

umask 077
mkdir -p "$folder"
if [[ -L $folder || ! -O $folder ]]; then
    echo "error: $folder belongs to another user; set XDG_RUNTIME_DIR to a folder of your own" >&2
    exit 2
fi
chmod 700 "$folder"
if [[ ! -s $token ]]; then
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$token.new"
    mv "$token.new" "$token"
fi
chmod 600 "$token"

# set explicitly: by default Ray uses authentication or not depending on what earlier runs left in ~/.ray
unset RAY_AUTH_TOKEN RAY_ADDRESS
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$token
export RAY_USAGE_STATS_ENABLED=0

cat <<TEXT
In another terminal:

  export PATH="$root/.venv/bin:\$PATH"
  export RAY_AUTH_MODE=token
  export RAY_AUTH_TOKEN_PATH='$token'
  export RAY_API_SERVER_ADDRESS=http://127.0.0.1:$dashboard_port
  ray job submit --working-dir . -- tbar campaign run jobs/quickstart.yaml

TEXT

umask 022 # results that jobs write get ordinary permissions
exec ray start --head --node-ip-address=127.0.0.2 --port="$port" \
    --dashboard-host=127.0.0.1 --dashboard-port="$dashboard_port" \
    --disable-usage-stats --block "$@"
