#include "capture_targets.h"

#include <linux/if_packet.h>

#include <algorithm>
#include <cstring>

namespace entremise {
namespace {

bool KindOf(uint8_t flags, bool from_peer, CaptureKind* kind) {
  if ((flags & kTcpRst) != 0) {
    *kind = CaptureKind::kRst;
    return true;
  }
  if ((flags & kTcpSyn) != 0) {
    *kind = CaptureKind::kSyn;
    return from_peer && (flags & (kTcpAck | kTcpFin)) == 0;
  }
  *kind = CaptureKind::kFin;
  return (flags & kTcpFin) != 0;
}

}  // namespace

bool CaptureTargets::Read(const uint8_t* bytes, size_t length) {
  if (length % kEntryBytes != 0) return false;
  std::vector<TcpEndpoint> endpoints(length / kEntryBytes);
  for (TcpEndpoint& endpoint : endpoints) {
    endpoint.number = static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
    std::memcpy(endpoint.address.data(), bytes + 2, endpoint.address.size());
    bytes += kEntryBytes;
  }
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  endpoints_ = std::move(endpoints);
  return true;
}

bool CaptureTargets::Has(const TcpEndpoint& endpoint) const {
  return std::binary_search(endpoints_.begin(), endpoints_.end(), endpoint);
}

bool Recognise(const CaptureTargets& targets, bool loopback, const PacketContext& context, const uint8_t* bytes,
               size_t length, CapturedEvent* out) {
  TcpSegment segment;
  // A tag means another network than this interface's: its own interface sees the packet, too, without the tag.
  if (context.vlan != 0 || !ParseTcpSegment(context.protocol, bytes, length, &segment)) return false;
  const bool came_in = context.type == PACKET_HOST;
  const bool went_out = loopback ? came_in : context.type == PACKET_OUTGOING;
  out->sequence = segment.sequence;
  out->acknowledgement = segment.acknowledgement;
  if (came_in && targets.Has(segment.destination) && KindOf(segment.flags, true, &out->kind)) {
    out->from_peer = true;
    out->local = segment.destination;
    out->peer = segment.source;
    return true;
  }
  if (!went_out || !targets.Has(segment.source) || !KindOf(segment.flags, false, &out->kind)) return false;
  out->from_peer = false;
  out->local = segment.source;
  out->peer = segment.destination;
  return true;
}

}  // namespace entremise
