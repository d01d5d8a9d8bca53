# A stand-in: see README.md. Every function that an init script may call, noted with its words.

for name in open_instance close_instance set_param append_param add_jail add_jail_mount add_jail_mount_rw \
	add_reload_trigger add_raw_trigger add_interface_trigger add_reload_interface_trigger send_signal kill; do
	eval "procd_$name() { note procd_$name \"\$@\"; }"
done
