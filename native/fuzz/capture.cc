// sources: tcp_segment.cc capture_targets.cc capture_filter.cc
// The kernel's filter lets through whatever is recognised (native/capture_filter.h), and the kernel takes it:
// manner u8 · type u8 · vlan u8 · how many u8 · that many targets of 18 bytes · a packet.
// Manner: 1 IPv6, 2 loopback, 4 the packet's source is a target, 8 its destination is, 16 a thousand targets more.
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>
#include <vector>

#include "../capture_filter.h"
#include "bpf_run.h"
#include "check.h"

namespace {

using entremise::CaptureTargets;

void Append(std::vector<uint8_t>* targets, const entremise::TcpEndpoint& endpoint) {
  targets->push_back(static_cast<uint8_t>(endpoint.number >> 8));
  targets->push_back(static_cast<uint8_t>(endpoint.number));
  targets->insert(targets->end(), endpoint.address.begin(), endpoint.address.end());
}

void AppendMany(std::vector<uint8_t>* targets, uint8_t seed) {
  for (unsigned index = 0; index < 1000; index++) {
    entremise::TcpEndpoint endpoint;
    endpoint.number = static_cast<uint16_t>(index * (seed | 1u));
    endpoint.address[seed & 15] = static_cast<uint8_t>(index);
    endpoint.address[seed >> 4] = static_cast<uint8_t>(index >> 8);
    Append(targets, endpoint);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const uint8_t manner = data[0];
  const bool loopback = (manner & 2) != 0;
  const uint16_t protocol = (manner & 1) == 0 ? ETH_P_IP : ETH_P_IPV6;
  const entremise::PacketContext context = {protocol, static_cast<uint8_t>(data[1] % 6),
                                            static_cast<uint16_t>(data[2] < 128 ? 0 : data[2])};
  const size_t named = std::min<size_t>(data[3], (size - 4) / CaptureTargets::kEntryBytes) * CaptureTargets::kEntryBytes;
  std::vector<uint8_t> entries(data + 4, data + 4 + named);
  const std::vector<uint8_t> packet(data + 4 + named, data + size);
  entremise::TcpSegment segment;
  if (entremise::ParseTcpSegment(protocol, packet.data(), packet.size(), &segment)) {
    if ((manner & 4) != 0) Append(&entries, segment.source);
    if ((manner & 8) != 0) Append(&entries, segment.destination);
  }
  if ((manner & 16) != 0) AppendMany(&entries, data[3]);
  CaptureTargets targets;
  Check(targets.Read(entries.data(), entries.size()));
  Check(!targets.Read(entries.data(), entries.size() + 1));
  const std::vector<sock_filter> filter = entremise::BuildCaptureFilter(targets, loopback);
  const uint32_t kept = entremise::BpfRun(filter, context, packet).Result();
  const size_t captured = std::min<size_t>(packet.size(), entremise::kCapturedBytes);
  const std::vector<uint8_t> bytes(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(captured));
  entremise::CapturedEvent event;
  if (!entremise::Recognise(targets, loopback, context, bytes.data(), bytes.size(), &event)) return 0;
  Check(kept == entremise::kCapturedBytes);
  Check(targets.Has(event.local));
  Check(event.from_peer ? context.type == PACKET_HOST : context.type == (loopback ? PACKET_HOST : PACKET_OUTGOING));
  Check(event.kind != entremise::CaptureKind::kSyn || event.from_peer);
  return 0;
}
