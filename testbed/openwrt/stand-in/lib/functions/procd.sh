# A stand-in: see README.md. Every function that an init script may call, noted with its words.

for name in open_instance close_instance set_param append_param add_jail add_jail_mount add_jail_mount_rw \
	add_reload_trigger add_raw_trigger add_interface_trigger add_reload_interface_trigger kill; do
	eval "procd_$name() { note procd_$name \"\$@\"; }"
done

# Sent too where a test keeps the instance running and says so (procd.ts).
procd_send_signal() {
	note procd_send_signal "$@"
	[ ! -e /tmp/instance.pid ] || kill -s "$3" "$(cat /tmp/instance.pid)"
}
