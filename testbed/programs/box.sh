#!/bin/sh
# box.sh UID GROUPS SHOWN KEPT COMMAND...: runs a command as a small gateway's service is run. In a mount namespace of its
# own, which the caller made; the command takes the place of this script, so its pid is the caller's child.
#
#   UID     whose it is; it has CAP_NET_BIND_SERVICE and CAP_NET_RAW, and can never have more
#   GROUPS  folders of control groups, each with a colon behind it: limits of memory and processor
#   SHOWN   files and folders that exist for it, read-only, each with a colon behind it; there is nothing else
#   KEPT    a folder whose content it gets a copy of, in memory, as the one place where it can write
set -e
user=$1 groups=$2 shown=$3 kept=$4
shift 4

IFS=:
for group in $groups; do echo $$ >"$group/cgroup.procs"; done

box=/mnt
mount -t tmpfs -o mode=0755,size=16m box "$box"
for path in $shown; do
	mkdir -p "$box${path%/*}"
	if [ -L "$path" ]; then
		cp -P "$path" "$box$path"
		continue
	fi
	if [ -d "$path" ]; then mkdir -p "$box$path"; else : >"$box$path"; fi
	mount --bind "$path" "$box$path"
	mount -o remount,bind,ro "$box$path"
done
mount -t tmpfs -o mode=1777,size=1m shm "$box/dev/shm"
# Programs that ask who they are get an answer.
{ cat /etc/passwd; echo "box:x:$user:$user:box:/:/bin/false"; } >"$box/passwd"
mount --bind "$box/passwd" "$box/etc/passwd"
mkdir -p "$box$kept"
mount -t tmpfs -o mode=0700,size=16m kept "$box$kept"
cp -R "$kept/." "$box$kept"
chown -R "$user:$user" "$box$kept"
mount -o remount,ro "$box"

few=-all,+net_bind_service,+net_raw
exec chroot "$box" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
	--bounding-set "$few" --inh-caps "$few" --ambient-caps "$few" "$@"
