# Say of each path what it really is: `same`, `else PATH` behind links, or `closed` where nobody can tell. Changes nothing.
LC_ALL=C
export LC_ALL
for path; do
  real=$(readlink -f -- "$path" 2>/dev/null)
  if [ "$real" = "$path" ]; then
    echo same
  elif [ -n "$real" ]; then
    printf 'else %s\n' "$(printf '%s' "$real" | tr '\n' '?')"
  else
    # What is not there is the engine's to refuse.
    case $(stat "$path" 2>&1) in
      *': No such file or directory' | *': Not a directory') echo same ;;
      *) echo closed ;;
    esac
  fi
done
echo END
