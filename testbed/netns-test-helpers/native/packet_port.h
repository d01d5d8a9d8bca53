// An interface as a raw packet port: frames come out of a ring shared with the kernel, frames go in by batches.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nth {

// Nanoseconds of CLOCK_MONOTONIC.
using Nanos = int64_t;
Nanos Now();

constexpr uint32_t kEthernetHeader = 14;

// A frame in memory of its own, Ethernet header included.
struct Frame {
  std::unique_ptr<uint8_t[]> bytes;
  uint32_t length = 0;

  static Frame CopyOf(const uint8_t* from, uint32_t length);
};

// A frame that still lies in the ring: valid until the next call of Next().
struct Arrived {
  const uint8_t* bytes = nullptr;
  // What is in the ring, and what the frame had on the wire.
  uint32_t kept = 0;
  uint32_t length = 0;
  // When the kernel got it: a reader that is late does not shift it.
  Nanos at = 0;
  uint32_t real_seconds = 0;
  uint32_t real_nanos = 0;
};

class PacketPort {
 public:
  struct Options {
    uint32_t longest_frame = 2048;
    uint32_t ring_bytes = 16u << 20;
    // Frames that this machine sends by the interface, as well as those that come.
    bool outgoing_too = false;
  };

  // Ends the program with a sentence on stderr when the interface cannot be had.
  PacketPort(const std::string& interface, const Options& options);

  int fd() const { return fd_; }
  // The next frame that has come; false when there is none now.
  bool Next(Arrived* arrived);
  // Sends frames; the length of one that the kernel refuses becomes 0.
  void Send(Frame* frames, size_t count);
  // Frames that found the ring full since the port was opened.
  uint64_t Overrun();

 private:
  int fd_;
  uint8_t* ring_ = nullptr;
  uint32_t frame_size_ = 0;
  uint32_t frames_per_block_ = 0;
  uint32_t block_size_ = 0;
  uint32_t frame_count_ = 0;
  uint32_t next_ = 0;
  bool holds_ = false;
  uint64_t overrun_ = 0;

  uint8_t* Slot(uint32_t number) const;
};

// Prints `what: strerror` and ends the program.
[[noreturn]] void Die(const std::string& what);

}  // namespace nth
