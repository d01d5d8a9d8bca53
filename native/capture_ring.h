// One interface's packets, filtered by the kernel into memory shared with it (AF_PACKET, TPACKET_V3). Plain C++.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "fd.h"
#include "tcp_segment.h"

namespace entremise {

class CaptureRing {
 public:
  // Begins with the interface's next packet that `filter` accepts; none before that is seen.
  static int Open(unsigned interface_index, const std::vector<sock_filter>& filter, std::unique_ptr<CaptureRing>* out);
  ~CaptureRing();
  CaptureRing(const CaptureRing&) = delete;
  CaptureRing& operator=(const CaptureRing&) = delete;

  // Readable when there is something to drain. One thread drains; the rest may be called from another.
  int fd() const { return fd_.number(); }
  unsigned interface_index() const { return interface_index_; }
  bool loopback() const { return loopback_; }

  // The kernel exchanges filters between two packets: each is judged by one of them.
  int SetFilter(const std::vector<sock_filter>& filter);

  // `bytes` are the ring's, for the length of the call. `time_us` since 1970.
  using OnPacket = std::function<void(const PacketContext&, const uint8_t* bytes, size_t length, uint64_t time_us)>;
  // Every packet that the kernel has handed over, block by block. False when the ring is not as it was agreed: then
  // nothing in it can be relied on.
  bool Drain(const OnPacket& on_packet);

  // Reading clears both: packets that passed the filter, and those of them for which the ring had no room.
  struct Statistics {
    uint32_t seen = 0;
    uint32_t dropped = 0;
  };
  Statistics TakeStatistics();

  // Clears what makes poll() report POLLERR: an interface that went down, which may come back.
  void TakeError();

 private:
  CaptureRing(Fd fd, unsigned interface_index) : fd_(std::move(fd)), interface_index_(interface_index) {}
  int Map();
  int ReadLoopback();

  Fd fd_;
  const unsigned interface_index_;
  bool loopback_ = false;
  uint8_t* memory_ = nullptr;
  size_t next_block_ = 0;
};

}  // namespace entremise
