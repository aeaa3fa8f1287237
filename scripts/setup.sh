#!/usr/bin/env bash
# Make the virtual environment .venv and install ozzo in it; says what it installs. Usage: setup.sh run|dev
# Works as root or not. Needs Python 3.11 or later; takes packages from pip's configured index only.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?usage: setup.sh run|dev}

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
fi
[ -n "$python" ] || { echo "ozzo needs Python 3.11 or later on the PATH (or PYTHON=/path/to/python3.11 make ...)" >&2; exit 2; }

debian() { # debian PACKAGE...: install from Debian as root or with passwordless sudo, else fail
  command -v apt-get >/dev/null || return 1
  local as=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  echo "Installing from Debian: $*"
  "${as[@]}" apt-get update -qq
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  echo "Making the virtual environment .venv with $("$python" --version)"
  rm -rf .venv
  if ! "$python" -m venv .venv 2>/dev/null; then
    rm -rf .venv
    # Debian keeps ensurepip in a package of its own
    debian python3-venv && "$python" -m venv .venv \
      || { rm -rf .venv; "$python" -m virtualenv -q .venv 2>/dev/null; } \
      || { echo "This Python has no 'venv' module and it could not be installed: 'apt-get install python3-venv', then again." >&2; exit 2; }
  fi
fi

extra=""
[ "$what" = dev ] && extra="[dev]"
echo "Installing ozzo$extra and its Python packages into .venv (pinned in constraints.txt):"
sed -n '/^dependencies = \[/,/^\]/s/^ *"\([A-Za-z0-9_.-]*\).*/  \1/p' pyproject.toml | paste -sd' ' -
[ "$what" = dev ] && sed -n '/^dev = \[/,/^\]/s/^ *"\([A-Za-z0-9_.-]*\).*/  \1/p' pyproject.toml | paste -sd' ' -
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable ".$extra"
# pip compiles on one core, compileall on all of them
.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true # a file that does not compile is its package's affair
.venv/bin/ozzo --version
