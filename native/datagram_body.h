// The body of a DATAGRAM packet (P7.2): route u32 · peer · bytes.
#pragma once

#include "endpoint.h"
#include "packet.h"

namespace entremise {

constexpr size_t kRouteBytes = 4;

struct Datagram {
  uint32_t route;
  Endpoint peer;
  uint8_t* bytes;
  size_t length;
};

// False for what is laid out otherwise.
inline bool ReadDatagram(uint8_t* body, size_t length, Datagram* out) {
  if (length < kRouteBytes) return false;
  const size_t peer = Endpoint::Read(body + kRouteBytes, length - kRouteBytes, &out->peer);
  if (peer == 0) return false;
  out->route = ReadU32(body);
  out->bytes = body + kRouteBytes + peer;
  out->length = length - kRouteBytes - peer;
  return true;
}

}  // namespace entremise
