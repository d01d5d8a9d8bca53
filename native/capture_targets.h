// Which packets a capture is about, exactly. Plain C++: no system calls, no state.
#pragma once

#include <vector>

#include "tcp_segment.h"

namespace entremise {

// The opened ports, as endpoints of the gateway.
class CaptureTargets {
 public:
  // 18 bytes each: number (big-endian), address. False, and nothing is changed, when the length is no multiple of it.
  static constexpr size_t kEntryBytes = 18;
  bool Read(const uint8_t* bytes, size_t length);

  bool Has(const TcpEndpoint& endpoint) const;
  bool empty() const { return endpoints_.empty(); }
  const std::vector<TcpEndpoint>& endpoints() const { return endpoints_; }

 private:
  std::vector<TcpEndpoint> endpoints_;  // sorted, no two alike
};

enum class CaptureKind : uint8_t { kSyn = 1, kFin = 2, kRst = 3 };

// Something that a peer or the gateway did to a connection of an opened port.
struct CapturedEvent {
  CaptureKind kind = CaptureKind::kSyn;
  bool from_peer = false;
  TcpEndpoint local;
  TcpEndpoint peer;
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
};

// What the packet means to the targets; false for nothing. A SYN counts when it begins a connection towards a target
// (no ACK), FIN and RST from either side. `loopback`: an interface on which everything that is sent is seen to come in.
bool Recognise(const CaptureTargets& targets, bool loopback, const PacketContext& context, const uint8_t* bytes,
               size_t length, CapturedEvent* out);

}  // namespace entremise
