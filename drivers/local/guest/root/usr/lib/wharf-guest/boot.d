#!/bin/sh
# Runs what the machine's own programs left in /etc/wharf/boot.d, in order of name, each in a session of its own.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/var/root
for program in /etc/wharf/boot.d/*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  setsid "$program" </dev/null >>/var/log/boot.d.log 2>&1
done
exit 0
