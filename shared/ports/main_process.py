"""The container's main process: plain `sh` that waits, and lets the user's hook run before the container ends.

Only this process is told (SIGTERM) that its container is to end: everything else dies with it. So it runs
`~/.devboxgpu/on-stop`, where that can be executed, for 25 s at most of the 30 that the app's body asks Azure for. Not
where the agent has just run it, nor while the agent runs it: who runs it has the link `hook-runs` in the agent's
directory, and leaves the file `hook-ran` there. An agent has a moment to show the rest of its output. For the agent's
dead man's handle it writes there who it is: `main.pid`, its id and its start time (docs/agent.md).

Nothing here may keep the container from waiting: a read-only disk, a missing `id`, no `$HOME`.
"""

from __future__ import annotations

GRACE_S = 30
"""What Azure is asked for between SIGTERM and SIGKILL, in seconds."""
HOOK_LIMIT_S = 25
LAST_WORDS_S = 2
"""Between SIGTERM and SIGKILL of a hook that takes too long, in seconds."""
SHOWN_S = 1
"""For an agent to show the hook's last output."""
RAN_LATELY_MIN = 2

MAIN_PROCESS = f"""
trap 'trap : TERM INT; run_hook 2>/dev/null; exit 0' TERM INT
place=${{XDG_RUNTIME_DIR:-${{TMPDIR:-/tmp}}}}/devboxgpu-$(id -u)
home=${{HOME:-/root}}
hook=$home/.devboxgpu/on-stop

who() {{
  read -r fields <"/proc/$1/stat" || return
  set -- "$1" ${{fields##*) }}
  [ "$2" != Z ] && echo "$1 ${{21}}"
}}

say_who() {{
  umask 077
  me=$(who $$) && mkdir -p "$place" && echo "$me" >"$place/main.pid.new" && mv "$place/main.pid.new" "$place/main.pid"
}}

wait_for_others() {{
  me=$(who $$)
  until ln -s "$me" "$place/hook-runs"; do
    holder=$(readlink "$place/hook-runs") || return
    [ "$(who "${{holder%% *}}")" = "$holder" ] || {{ ln -sfn "$me" "$place/hook-runs"; return; }}
    sleep 0.1 || sleep 1
  done
}}

run_hook() {{
  [ -f "$hook" ] && [ -x "$hook" ] || return
  wait_for_others
  [ -z "$(find "$place/hook-ran" -mmin -{RAN_LATELY_MIN} 2>/dev/null)" ] || return
  (cd "$home"; exec "$hook") </dev/null >>"$hook.log" 2>&1 &
  running=$!
  (sleep {HOOK_LIMIT_S}; kill -TERM $running; sleep {LAST_WORDS_S}; kill -KILL $running) &
  wait $running
  code=$?
  while kill -0 $running; do wait $running; code=$?; done
  [ $code = 0 ] || echo "devboxgpu: on-stop ended with $code" >>"$hook.log"
  echo "$me $code" >"$place/hook-ran.new" && mv "$place/hook-ran.new" "$place/hook-ran"
  rm -f "$place/hook-runs"
  for agent in "$place"/*.sock; do [ -S "$agent" ] && sleep {SHOWN_S} && break; done
}}

(say_who) 2>/dev/null
while :; do sleep 3600 & wait $!; done
"""
