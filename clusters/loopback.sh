#!/usr/bin/env bash
# Start a Ray head on this machine, reachable by `ray job submit`; Ctrl-C stops this Ray and no other.
#
#   clusters/loopback.sh [more options of `ray start`]
#
# Ports: TBAR_RAY_PORT (6399) and TBAR_RAY_DASHBOARD_PORT (8265); others are chosen by the system where they are taken, so
# that another Ray may run beside this one. See clusters/README.md.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
port=${TBAR_RAY_PORT:-6399}
dashboard_port=${TBAR_RAY_DASHBOARD_PORT:-8265}
patience=${TBAR_RAY_PATIENCE:-120} # seconds until jobs can be submitted
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
# of one machine: Ray keeps 127.0.0.1 then, and all its services listen there alone
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0

listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

for taken in "$port 127.0.0.1 TBAR_RAY_PORT" "$dashboard_port 127.0.0.1 TBAR_RAY_DASHBOARD_PORT"; do
    read -r number host name <<<"$taken"
    if listens "$host" "$number"; then
        echo "error: port $number is taken, perhaps by another Ray; choose another with $name" >&2
        exit 2
    fi
done

# Ray's own default where that is free, else any free port: the first Ray of a machine has the default
port_or_free() {
    if listens 127.0.0.1 "$1"; then
        python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
    else
        echo "$1"
    fi
}
agent_port=$(port_or_free 52365)
client_port=$(port_or_free 10001)

umask 022 # results that jobs write get ordinary permissions
ray start --head --node-ip-address=127.0.0.1 --port="$port" \
    --dashboard-host=127.0.0.1 --dashboard-port="$dashboard_port" --dashboard-agent-listen-port="$agent_port" \
    --ray-client-server-port="$client_port" \
    --disable-usage-stats --block "$@" &
head=$!
stop() {
    kill -TERM "$head" 2>/dev/null || true
    wait "$head" || true
}
trap 'stop; exit 130' INT TERM HUP

echo "starting Ray; trying a job …"
started=$SECONDS
until RAY_API_SERVER_ADDRESS=http://127.0.0.1:$dashboard_port timeout 60 ray job submit -- true >"$folder/job.log" 2>&1; do
    if ! kill -0 "$head" 2>/dev/null; then
        echo "error: Ray did not start; what it said is above" >&2
        exit 1
    fi
    if ((SECONDS - started > patience)); then
        echo "error: no job could be submitted within $patience s: $(tail -n 1 "$folder/job.log")" >&2
        stop
        exit 1
    fi
    sleep 1
done

cat <<TEXT
Ready. In another terminal:

  export PATH="$root/.venv/bin:\$PATH"
  export RAY_AUTH_MODE=token
  export RAY_AUTH_TOKEN_PATH='$token'
  export RAY_API_SERVER_ADDRESS=http://127.0.0.1:$dashboard_port
  ray job submit --working-dir . -- tbar campaign run jobs/quickstart.yaml

TEXT

wait "$head"
