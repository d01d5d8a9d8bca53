// UDP sockets as a relay uses them. Failures are errnos (0 = done); nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "endpoint.h"
#include "fd.h"

namespace entremise {

struct UdpSocket {
  Fd fd;
  int family = AF_INET;
  // Bound to no address: who asked at which one is told, and answered from there.
  bool wildcard = false;
  // Of a link-local address, so that its peers are on the same link.
  uint32_t scope = 0;
  uint16_t number = 0;
  // The kernel's count of what its queue had no room for, as last told.
  uint32_t overflow = 0;
  // Until then what is sent is not given to the kernel in one piece: it has refused that.
  uint64_t single_until_ms = 0;
};

// Binds `number` (0: a free one) of `address` for packets of channels: DF set, equal packets come in one piece (UDP_GRO),
// a bounded queue. "::" takes IPv4 too.
int OpenDoor(const std::string& address, uint16_t number, UdpSocket* out);

// Takes a bound socket over: bounded queue, its own errors told. On success *out owns the fd.
int AdoptSocket(Fd* fd, bool broadcast, UdpSocket* out);

// A connected socket towards a service.
int OpenTowards(const Endpoint& service, UdpSocket* out);

// One ICMP message about a destination. False when there is no more.
bool TakeUnreachable(const UdpSocket& socket, Endpoint* peer, uint8_t* code, bool* of_interest);

}  // namespace entremise
