#!/bin/sh
# A controller that stays, three real agents, and kill -9 for each part in turn. Run it in the project's folder.
#
# It starts a broker, an agent for each of three nodes, and `ozzo serve`; shows processes that are frozen and thawed; kills
# controller, agent and broker, one after the other; waits for the end of the (compressed) day; and lets the jobs themselves say
# whether one was doubled or lost. Everything is in a temporary folder, on loopback, and is gone at the end.
set -eu
OZZO=${OZZO:-.venv/bin/ozzo}
PYTHON=${PYTHON:-.venv/bin/python}
SCENARIO=${SCENARIO:-configs/almere.yaml}
NODES=${NODES:-"hall.node-0 hall.node-1 cabinet-a.node-0"}   # the other nodes have no agent: they are planned around
DAY_SECONDS=${DAY_SECONDS:-300}                              # wall seconds of a day; the clock stands still while it plans
REPLAN_MINUTES=${REPLAN_MINUTES:-240}
PAUSE=${PAUSE:-10}                                           # wall seconds between two blows
PATIENCE=${PATIENCE:-3600}                                   # wall seconds to wait for anything; a busy machine plans slowly

DIR=$(mktemp -d)
chmod 711 "$DIR"                                             # the broker's own user must be able to pass
trap 'kill $(cat "$DIR"/*.pid) 2>/dev/null || true; pkill -f "witness.py $DIR" || true; rm -rf "$DIR"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n== %s\n' "$1"; }
agent() { "$OZZO" agent "$DIR/broker/nodes/$1" >>"$DIR/agents.log" 2>&1 & echo $! >"$DIR/agent-$1.pid"; }
serve() {
    "$OZZO" serve "$SCENARIO" --mode live --promote-without-evidence 'a trial on loopback' --state "$DIR/state" --once \
        --broker "$DIR/broker/controller" --day-seconds "$DAY_SECONDS" --replan-every "$REPLAN_MINUTES" \
        >>"$DIR/serve.log" 2>&1 & echo $! >"$DIR/serve.pid"
}
status() { "$OZZO" status --state "$DIR/state"; }
processes() { "$PYTHON" docs/examples/jobs_here.py now "$DIR/word"; }
fail() { printf '\nThe trial ends here: %s. The end of %s:\n' "$1" "$2"; tail -n 20 "$DIR/$2"; exit 1; }
until_told() {                                               # until NAME.log says TEXT; NAME.pid says whose log it is
    tries=0
    until grep -qs "$2" "$DIR/$1.log"; do
        kill -0 "$(cat "$DIR/$1.pid")" 2>/dev/null || grep -qs "$2" "$DIR/$1.log" || fail "$1 has ended" "$1.log"
        tries=$((tries + 1))
        [ "$tries" -lt "$PATIENCE" ] || fail "$1 has not said '$2' for $PATIENCE s" "$1.log"
        sleep 1
    done
}
a_job_runs() {                                               # waits, for the blow is to fall on a job that runs
    until processes | grep -q running; do
        if grep -qs 'the horizon is over' "$DIR/serve.log"; then return 0; fi
        kill -0 "$(cat "$DIR/serve.pid")" 2>/dev/null || fail 'serve has ended' serve.log
        sleep 0.5
    done
}

say 'a broker, and three agents whose jobs leave word'
"$OZZO" broker "$SCENARIO" --dir "$DIR/broker" --listen 127.0.0.1:0 >>"$DIR/broker.log" 2>&1 & echo $! >"$DIR/broker.pid"
until_told broker 'for .* nodes of'
for node in $NODES; do
    "$OZZO" enrol "$SCENARIO" "$node" --dir "$DIR/broker"
    "$PYTHON" - "$DIR/broker/nodes/$node/agent.json" "$DIR" <<'PROGRAM'
import json, os, sys
file, folder = sys.argv[1:]
settings = json.load(open(file))
settings["programs"] = {"sleep": [os.path.abspath(sys.executable), os.path.abspath("docs/examples/witness.py"), folder + "/word"]}
json.dump(settings, open(file, "w"))
PROGRAM
    agent "$node"
done

say 'the controller'
serve
until_told serve 'is in force'
a_job_runs
status
processes

say 'a job is paused by hand (frozen), and released (thawed)'
JOB=$("$OZZO" status --state "$DIR/state" --json | "$PYTHON" -c '
import json, sys
print(next(iter(json.load(sys.stdin)["jobs"]["names"].get("running", [])), ""))')
if [ -n "$JOB" ]; then
    "$OZZO" override job "$JOB" pause --reason 'to see it' --state "$DIR/state"
    sleep 3
    processes
    "$OZZO" override release job "$JOB" --reason 'seen' --state "$DIR/state"
    sleep 3
    processes
fi

say 'kill -9 of the controller; jobs go on, and the next one goes on with them'
a_job_runs
kill -9 "$(cat "$DIR/serve.pid")"
sleep 0.5                                                    # what ran goes on; short jobs end by themselves
processes
serve
sleep "$PAUSE"

FIRST=${NODES%% *}
a_job_runs
say "kill -9 of the agent of $FIRST; its jobs go on, and the next agent takes them over"
kill -9 "$(cat "$DIR/agent-$FIRST.pid")"
sleep 0.5
processes
agent "$FIRST"
sleep "$PAUSE"

say 'kill -9 of the broker; it is started again, and everything is stated again'
a_job_runs
pkill -9 -f "mosquitto -c $DIR/broker/mosquitto/mosquitto.conf"
sleep "$PAUSE"
status
processes

say 'the rest of the day'
until_told serve 'the horizon is over'
sleep 2
cat "$DIR/serve.log"
status
say 'what the jobs themselves say'
"$PYTHON" docs/examples/jobs_here.py sum "$DIR/word"
