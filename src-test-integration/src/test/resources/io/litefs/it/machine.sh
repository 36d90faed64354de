# Makes this process, which has mount, pid and uts namespaces of its own, a machine in which commands of the documentation run as
# they stand there: with a root of its own, and in it /srv, /opt, /litefs, /var/lib/litefs and /tmp that are empty (but for the checkout), a hostname, other
# machines by name, and litefs in the PATH. Then it runs what standard input says.
#
#   machine.sh ROOT NAME HOSTS LAUNCHER
#
# ROOT is an empty directory, HOSTS a file for /etc/hosts.
set -eu
root=$1 name=$2 hosts=$3 launcher=$4

hostname "$name"
mount -t tmpfs -o mode=755 root "$root"
for entry in /*; do
  case $entry in
    /proc | /srv | /opt | /tmp | /litefs | /lost+found) continue ;;
  esac
  if [ -L "$entry" ]; then
    cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then
    mkdir "$root$entry"
    mount --rbind "$entry" "$root$entry"
  fi
done
for new in /srv /opt /tmp /litefs; do mkdir -m 1777 "$root$new"; done
# The checkout and the JDK may lie in one of these.
for needed in "${launcher%/*}" "${JAVA_HOME:-}"; do
  case $needed in
    /srv/* | /opt/* | /tmp/*)
      mkdir -p "$root$needed"
      mount --rbind "$needed" "$root$needed"
      ;;
  esac
done
mkdir "$root/proc"
mount -t proc proc "$root/proc"
# What is in /var/lib by now belongs to the package manager, which nobody calls here.
mount -t tmpfs -o mode=755 var "$root/var/lib"
# The file that the name leads to: it may be a link to somewhere else.
mount --bind "$hosts" "$root$(readlink -f /etc/hosts)"
mkdir "$root/opt/bin"
ln -s "$launcher" "$root/opt/bin/litefs"
ln -s "$launcher" "$root/srv/litefs" # for the pages that begin in a checkout
PATH=/opt/bin:$PATH
export PATH
exec chroot "$root" sh -c 'cd /srv; exec bash --noprofile --norc -s'
