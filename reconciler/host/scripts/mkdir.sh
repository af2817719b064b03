# Make the folder $2 below the root $1 (`own` or `given`: $4), its missing parents 0700, and give it the mode $3.
# A sandbox's own folder is made with its marker alone: one that came late, without a marker, would be in no plan.
enter_root "$1" "$4"
case $4:$2 in
  own:[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]/*)
    [ -e "./${2%%/*}" ] || refuse E_PATH_MISSING "$at/${2%%/*} is not there"
    ;;
esac
descend "$2" make
if [ "$(stat -c '%a' .)" = "$3" ]; then
  [ -n "$made" ] && answer made
  answer same
fi
[ -O . ] || refuse E_PATH_OWNER "$at belongs to another user, so its mode is left alone"
said=$(chmod "$3" . 2>&1) || failed "$said"
[ "$(stat -c '%a' .)" = "$3" ] || refuse E_READBACK "$at did not take the mode $3"
answer made
