// Reads the headers of a captured packet as far as TCP. Plain C++: no system calls, no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace entremise {

// 16 bytes; IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
using CaptureAddress = std::array<uint8_t, 16>;

// An address of the gateway with a TCP number, or a peer's.
struct TcpEndpoint {
  CaptureAddress address = {};
  uint16_t number = 0;
  bool operator==(const TcpEndpoint& other) const { return number == other.number && address == other.address; }
  bool operator<(const TcpEndpoint& other) const {
    return number != other.number ? number < other.number : address < other.address;
  }
};

// TCP flags (RFC 9293 §3.1).
constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpSyn = 0x02;
constexpr uint8_t kTcpRst = 0x04;
constexpr uint8_t kTcpAck = 0x10;

// What AF_PACKET says about a packet besides its bytes.
struct PacketContext {
  uint16_t protocol = 0;  // EtherType
  uint8_t type = 0;       // PACKET_HOST, PACKET_OUTGOING, ...
  uint16_t vlan = 0;      // id of the tag that it has on this interface; 0: none, or a tag for priority only
};

struct TcpSegment {
  TcpEndpoint source;
  TcpEndpoint destination;
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  uint8_t flags = 0;
};

// Extension headers of IPv6 that are looked behind, here and by the kernel's filter.
constexpr int kMaxExtensionHeaders = 4;

// `bytes` begin at the IP header (SOCK_DGRAM). False for what is not the beginning of a TCP segment, or is cut off.
bool ParseTcpSegment(uint16_t protocol, const uint8_t* bytes, size_t length, TcpSegment* out);

}  // namespace entremise
