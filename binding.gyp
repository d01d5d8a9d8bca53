{
  "targets": [
    {
      "target_name": "entremise",
      "sources": [
        "native/addon.cc",
        "native/aead.cc",
        "native/capture.cc",
        "native/capture_filter.cc",
        "native/capture_ring.cc",
        "native/capture_targets.cc",
        "native/capture_wrap.cc",
        "native/disconnect_watch.cc",
        "native/fd_watch.cc",
        "native/gso_send.cc",
        "native/instance.cc",
        "native/netlink.cc",
        "native/network_watch.cc",
        "native/packet_watch.cc",
        "native/packet_wrap.cc",
        "native/part_assembly.cc",
        "native/receive_slots.cc",
        "native/relay.cc",
        "native/relay_core.cc",
        "native/relay_host.cc",
        "native/relay_receive.cc",
        "native/relay_send.cc",
        "native/relay_thread.cc",
        "native/relay_upcalls.cc",
        "native/relay_wrap.cc",
        "native/sockets.cc",
        "native/udp_scope.cc",
        "native/sockets_wrap.cc",
        "native/tcp_path.cc",
        "native/tcp_segment.cc",
        "native/udp_socket.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": [
        "NAPI_VERSION=8",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_ADDON_API_ENABLE_MAYBE"
      ],
      "cflags!": ["-fexceptions"],
      "cflags_cc!": ["-fexceptions"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fvisibility=hidden"]
    }
  ]
}
