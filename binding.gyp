{
  "targets": [
    {
      "target_name": "entremise",
      "sources": [
        "native/addon.cc",
        "native/disconnect_watch.cc",
        "native/instance.cc",
        "native/sockets.cc",
        "native/sockets_wrap.cc"
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
