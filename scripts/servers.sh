#!/usr/bin/env bash
# Install the servers, the browser, the model checker, the copiers of data, what cuts a network, and the Slurm cluster that the tests start, from Debian, when missing and allowed.
# Otherwise say so: those tests are then skipped with the reason (with CI=true a skip is a failure).
set -euo pipefail
missing=()
[ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null || missing+=(mosquitto)
command -v influxd >/dev/null || missing+=(influxdb)
command -v chromium >/dev/null || missing+=(chromium)
command -v spin >/dev/null || missing+=(spin)
command -v gcc >/dev/null && [ -e /usr/include/stdio.h ] || missing+=(gcc libc6-dev)
command -v ip >/dev/null || missing+=(iproute2)
command -v rsync >/dev/null || missing+=(rsync)
command -v rclone >/dev/null || missing+=(rclone)
[ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/slurmd ] && [ -x /usr/sbin/munged ] && command -v sbatch >/dev/null ||
  missing+=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge)
[ ${#missing[@]} -eq 0 ] && exit 0
command -v apt-get >/dev/null || { echo "Not a Debian machine: tests that need ${missing[*]} will be skipped."; exit 0; }
as=()
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then
    as=(sudo -n)
  else
    echo "Not allowed to install from Debian: tests that need ${missing[*]} will be skipped."
    exit 0
  fi
fi
echo "Installing from Debian for the tests: ${missing[*]}"
"${as[@]}" apt-get update -qq || true
if ! "${as[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
  echo "Debian could not install ${missing[*]}: tests that need them will be skipped."
fi
