# Print `/proc/PID/WHAT -> PATH` for each process that has what begins with the path $1 open, or stands in it. What of
# other users' processes is not shown to us is left out. Two processes for all of them.
users_of() {
  set +f
  printf '%s\n' /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd/* |
    QUOTING_STYLE=literal xargs stat -c '%N' 2>/dev/null | grep -F -e "-> $1" -e "-> '$1"
  set -f
}
