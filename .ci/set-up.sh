# Read by install-and-serve and install-and-test; needs only a POSIX shell and Python.

# End with a message for the person at the terminal.
stop() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# Install Debian packages where this account may without a password; fails elsewhere.
debian_packages() {
  command -v apt-get >/dev/null || return 1
  as_root="env DEBIAN_FRONTEND=noninteractive"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root="sudo -n $as_root"
  fi
  echo "installing from Debian: $*" >&2
  $as_root apt-get -qq update >/dev/null && $as_root apt-get -qq -y install "$@" >/dev/null
}

# Print the command of a Python that is new enough; fails where there is none.
find_python() {
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  return 1
}

# Make a virtual environment in a directory unless a working one is there.
virtual_environment() {
  "$1/bin/python" -c 'import pip' 2>/dev/null && return
  python=$(find_python) || {
    debian_packages python3 && python=$(find_python)
  } || stop "Python 3.11 or later is needed: sudo apt-get install python3 python3-venv"
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    debian_packages "python$version-venv" ||
    stop "the module venv is missing: sudo apt-get install python$version-venv"
  "$python" -m venv --clear "$1" || stop "no virtual environment could be made in $1"
  "$1/bin/python" -m pip install -q --upgrade pip
}
