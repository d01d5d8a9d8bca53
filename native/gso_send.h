// Sends many packets by few calls: equal ones to one destination leave as one (UDP_SEGMENT), whichever flow they are of.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "endpoint.h"
#include "relay_counters.h"
#include "udp_socket.h"

namespace entremise {

class GsoSend {
 public:
  // What all packets of one group share. The socket and the counters outlive the next Flush.
  struct Destination {
    UdpSocket* socket = nullptr;
    // None for a connected socket.
    Endpoint to;
    // From which of a wildcard's addresses; none: the kernel's choice.
    Address from;
    RelayCounters* counters = nullptr;
  };

  GsoSend();

  // `bytes` must stay as they are until the next Flush.
  void Add(const Destination& destination, uint8_t* bytes, size_t length);
  // Everything leaves, or is dropped and counted. Packets to one destination leave in the order of Add.
  void Flush(uint64_t now_ms);
  bool empty() const { return used_ == 0; }
  // Add may flush by itself when it has no room; it needs the time for that.
  void SetNow(uint64_t now_ms) { now_ms_ = now_ms; }

 private:
  static constexpr size_t kGroups = 64;
#ifdef ENTREMISE_ALWAYS_SINGLE
  // For an emulator that hands UDP_SEGMENT's two bytes to a kernel with the other byte order as they are.
  static constexpr size_t kMostSegments = 1;
#else
  static constexpr size_t kMostSegments = 60;
#endif
  static constexpr size_t kMostBytes = 60 * 1024;
  // Longer ones may not fit an Ethernet frame: the kernel cuts those up only one by one.
  static constexpr size_t kLongestSegment = 1472;

  struct Group {
    Destination destination;
    size_t segment = 0;
    size_t bytes = 0;
    size_t packets = 0;
    size_t vectors = 0;
    bool closed = false;
    bool sent = false;
    iovec parts[kMostSegments];
    sockaddr_storage name;
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
  };

  Group* OpenGroupFor(const Destination& destination, size_t length);
  bool Prepare(Group* group, bool segmented, msghdr* message);
  void SendSocket(UdpSocket* socket, size_t from);
  void SendMessages(UdpSocket* socket, unsigned count);
  // The kernel did not take it: as single packets, or not at all.
  void Refused(Group* group, int error);
  void SendSingly(Group* group);
  static void Dropped(Group* group, int error, uint64_t packets);

  std::vector<Group> groups_;
  size_t used_ = 0;
  uint64_t now_ms_ = 0;
  std::array<mmsghdr, kGroups> messages_ = {};
  std::array<Group*, kGroups> order_ = {};
};

}  // namespace entremise
