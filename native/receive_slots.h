// Memory that datagrams are received into, many by one call, with room in front and behind for what a packet adds.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "endpoint.h"
#include "udp_socket.h"

namespace entremise {

struct Received {
  uint8_t* bytes = nullptr;
  size_t length = 0;
  Endpoint from;
  // Where it was sent to; none unless the socket is on a wildcard.
  Address local;
  // More than 0: packets of that length stand one behind the other, the last may be shorter.
  size_t segment = 0;
};

class ReceiveSlots {
 public:
  static constexpr size_t kSlots = 64;
  static constexpr size_t kHeadroom = 64;
  static constexpr size_t kTailroom = 64;
  static constexpr size_t kLongest = 65535;

  // Null when there is no memory. Pages are the kernel's until something is received into them.
  bool Map();
  ReceiveSlots() = default;
  ~ReceiveSlots();
  ReceiveSlots(const ReceiveSlots&) = delete;
  ReceiveSlots& operator=(const ReceiveSlots&) = delete;

  // How many datagrams came, at most `most`, into the slots from `first` on; they stay until the next call for the same slots.
  // *overflow grows by how many more the kernel has dropped for want of room since the last time.
  size_t Receive(UdpSocket* socket, size_t first, size_t most, uint64_t* overflow);
  const Received& operator[](size_t index) const { return received_[index]; }

 private:
  static constexpr size_t kControlBytes = 128;
  void ReadControl(size_t index, UdpSocket* socket, uint64_t* overflow);

  uint8_t* memory_ = nullptr;
  std::array<Received, kSlots> received_ = {};
  std::array<mmsghdr, kSlots> messages_ = {};
  std::array<iovec, kSlots> vectors_ = {};
  std::array<sockaddr_storage, kSlots> names_ = {};
  alignas(cmsghdr) uint8_t control_[kSlots][kControlBytes] = {};
};

}  // namespace entremise
