// sources: tcp_segment.cc
// Headers as far as TCP (native/tcp_segment.h): protocol u8 (even: IPv4, odd: IPv6) · a packet.
#include <linux/if_ether.h>

#include <vector>

#include "../tcp_segment.h"
#include "check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint16_t protocol = (data[0] & 1) == 0 ? ETH_P_IP : ETH_P_IPV6;
  // A copy of its own, so that what is read beyond it is noticed.
  const std::vector<uint8_t> packet(data + 1, data + size);
  entremise::TcpSegment segment;
  const bool is_tcp = entremise::ParseTcpSegment(protocol, packet.data(), packet.size(), &segment);
  // IP and TCP have at least this.
  Check(!is_tcp || packet.size() >= (protocol == ETH_P_IP ? 40u : 60u));
  Check(!entremise::ParseTcpSegment(ETH_P_ARP, packet.data(), packet.size(), &segment));
  // What is cut off is none, or the same.
  for (size_t length = 0; is_tcp && length < packet.size() && length < 256; length++) {
    entremise::TcpSegment shorter;
    const std::vector<uint8_t> part(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
    if (!entremise::ParseTcpSegment(protocol, part.data(), part.size(), &shorter)) continue;
    Check(shorter.source == segment.source && shorter.destination == segment.destination);
    Check(shorter.flags == segment.flags && shorter.sequence == segment.sequence);
  }
  return 0;
}
