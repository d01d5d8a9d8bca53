# A stand-in: see README.md.

note() {
	local word line=
	for word in "$@"; do line="$line${line:+	}$word"; done
	echo "$line" >>/tmp/notes
}

# busybox would take its own applet before a program of the path.
logger() { note logger "$@"; }

config_load() {
	CONFIG_FILE="/etc/config/$1"
}

# config_get_bool VARIABLE SECTION OPTION DEFAULT
config_get_bool() {
	local value
	value="$(awk -v section="'$2'" -v option="$3" '
		$1 == "config" { inside = $3 == section }
		inside && $1 == "option" && $2 == option { gsub(/\047/, "", $3); print $3 }
	' "$CONFIG_FILE" | tail -n 1)"
	case "$value" in
	1 | on | true | yes | enabled) value=1 ;;
	0 | off | false | no | disabled) value=0 ;;
	*) value="$4" ;;
	esac
	eval "$1=$value"
}

add_group_and_user() {
	local wanted user group
	wanted="$(sed -n 's/^Require-User: *//p' "/usr/lib/opkg/info/$pkgname.control")"
	user="${wanted%%:*}" group="${wanted#*:}"
	[ -n "$wanted" ] || return 0
	grep -q "^$group:" /etc/group || echo "$group:x:32768:$user" >>/etc/group
	grep -q "^$user:" /etc/passwd || {
		echo "$user:x:32768:32768:$user:/var/run/$user:/bin/false" >>/etc/passwd
		echo "$user:x:0:0:99999:7:::" >>/etc/shadow
	}
}

default_postinst() {
	local pkgname path
	pkgname="$(basename "${1%.*}")"
	add_group_and_user
	for path in $(grep '^/etc/uci-defaults/' "/usr/lib/opkg/info/$pkgname.list"); do
		( . "$path" ) && rm -f "$path"
	done
	uci commit
	( . "/usr/lib/opkg/info/$pkgname.postinst-pkg" )
	for path in $(grep '^/etc/init.d/' "/usr/lib/opkg/info/$pkgname.list"); do
		[ "$PKG_UPGRADE" = 1 ] || "$path" enable
		"$path" start
	done
}

default_prerm() {
	local pkgname path
	pkgname="$(basename "${1%.*}")"
	for path in $(grep '^/etc/init.d/' "/usr/lib/opkg/info/$pkgname.list"); do
		[ "$PKG_UPGRADE" = 1 ] || "$path" disable
		"$path" stop
	done
}
