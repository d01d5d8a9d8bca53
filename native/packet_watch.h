// Takes part in what a namespace sends over its loopback interface (docs/architecture.md, "A command in the home"): sees
// what begins there, and puts packets of its own on the way. Plain C++ on libuv: no N-API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fd_watch.h"

namespace entremise {

// Sees the SYNs and UDP datagrams that come in by an interface and bear no mark, as whole IP packets. What is seen is a
// copy: whether the kernel acts on it, its rules say. Needs CAP_NET_RAW where the interface is.
class PacketWatch : public FdWatch {
 public:
  // The packet lies in the watch's own memory until the call returns. `segment_bytes`: a large datagram stands for many, of
  // that many payload bytes each (UDP_SEGMENT); 0: it is one.
  using Callback = std::function<void(const uint8_t* packet, size_t length, uint32_t segment_bytes)>;

  // On success *out lives until Close() has called `done`. 0 or an errno.
  static int Start(uv_loop_t* loop, const std::string& interface, Callback callback, PacketWatch** out);

 private:
  PacketWatch(Fd socket, Callback callback) : FdWatch(std::move(socket)), callback_(std::move(callback)) {}
  void OnReady() override;
  // One packet; false when there is none.
  bool Take();

  Callback callback_;
  std::vector<uint8_t> buffer_;
};

// A socket for SendMarked, of AF_INET or AF_INET6. Needs CAP_NET_RAW.
int OpenRawIp(int family, Fd* out);

// Sends a whole IP packet to its own destination; rules and watches know it by its mark. Needs CAP_NET_ADMIN.
int SendMarked(int fd, uint32_t mark, const uint8_t* packet, size_t length);

// Connections to any address that rules lead to this listener keep their destination (IP_TRANSPARENT). Needs CAP_NET_ADMIN.
int SetTransparent(int fd);

}  // namespace entremise
