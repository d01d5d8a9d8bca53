#include "tcp_segment.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <cstring>

namespace entremise {
namespace {

constexpr size_t kIpv4HeaderBytes = 20;
constexpr size_t kIpv6HeaderBytes = 40;
constexpr size_t kTcpHeaderBytes = 20;

uint16_t Read16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }
uint32_t Read32(const uint8_t* bytes) {
  return static_cast<uint32_t>(Read16(bytes)) << 16 | Read16(bytes + 2);
}

CaptureAddress MappedIpv4(const uint8_t* bytes) {
  CaptureAddress address = {};
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, bytes, 4);
  return address;
}

CaptureAddress Ipv6(const uint8_t* bytes) {
  CaptureAddress address;
  std::memcpy(address.data(), bytes, address.size());
  return address;
}

bool ReadTcp(const uint8_t* tcp, TcpSegment* out) {
  out->source.number = Read16(tcp);
  out->destination.number = Read16(tcp + 2);
  out->sequence = Read32(tcp + 4);
  out->acknowledgement = Read32(tcp + 8);
  out->flags = tcp[13];
  return true;
}

bool ParseIpv4(const uint8_t* bytes, size_t length, TcpSegment* out) {
  if (length < kIpv4HeaderBytes || bytes[0] >> 4 != 4) return false;
  const size_t header = static_cast<size_t>(bytes[0] & 0x0f) * 4;
  const bool is_first = (Read16(bytes + 6) & 0x1fff) == 0;
  if (header < kIpv4HeaderBytes || bytes[9] != IPPROTO_TCP || !is_first) return false;
  if (length < header + kTcpHeaderBytes) return false;
  // What Ethernet pads a short packet with is none of it. 0: longer than 16 bits can say.
  const size_t total = Read16(bytes + 2);
  if (total != 0 && total < header + kTcpHeaderBytes) return false;
  out->source.address = MappedIpv4(bytes + 12);
  out->destination.address = MappedIpv4(bytes + 16);
  return ReadTcp(bytes + header, out);
}

// Where TCP begins behind the extension headers (RFC 8200 §4); 0 when it does not, or not in the first fragment.
size_t FindTcp(const uint8_t* bytes, size_t length) {
  uint8_t next = bytes[6];
  size_t at = kIpv6HeaderBytes;
  for (int seen = 0; seen <= kMaxExtensionHeaders; seen++) {
    if (next == IPPROTO_TCP) return at;
    if (length < at + 8) return 0;
    const uint8_t* header = bytes + at;
    switch (next) {
      case IPPROTO_HOPOPTS:
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
        at += (static_cast<size_t>(header[1]) + 1) * 8;
        break;
      case IPPROTO_FRAGMENT:
        if ((Read16(header + 2) & 0xfff8) != 0) return 0;
        at += 8;
        break;
      case IPPROTO_AH:
        at += (static_cast<size_t>(header[1]) + 2) * 4;
        break;
      default:
        return 0;
    }
    next = header[0];
  }
  return 0;
}

bool ParseIpv6(const uint8_t* bytes, size_t length, TcpSegment* out) {
  if (length < kIpv6HeaderBytes || bytes[0] >> 4 != 6) return false;
  const size_t at = FindTcp(bytes, length);
  if (at == 0 || length < at + kTcpHeaderBytes) return false;
  // 0: a jumbogram.
  const size_t payload = Read16(bytes + 4);
  if (payload != 0 && kIpv6HeaderBytes + payload < at + kTcpHeaderBytes) return false;
  out->source.address = Ipv6(bytes + 8);
  out->destination.address = Ipv6(bytes + 24);
  return ReadTcp(bytes + at, out);
}

}  // namespace

bool ParseTcpSegment(uint16_t protocol, const uint8_t* bytes, size_t length, TcpSegment* out) {
  switch (protocol) {
    case ETH_P_IP:
      return ParseIpv4(bytes, length, out);
    case ETH_P_IPV6:
      return ParseIpv6(bytes, length, out);
    default:
      return false;
  }
}

}  // namespace entremise
