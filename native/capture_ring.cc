// How a ring goes round: the kernel fills one block after another and hands over each by TP_STATUS_USER in its status,
// when it is full or kRetireMs old; who drains hands it back by TP_STATUS_KERNEL. All else in a block is the other side's
// while it has it. Nothing is trusted to lie inside the block that it is said to lie in.
#include "capture_ring.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace entremise {
namespace {

// 1 MiB, room for some 6,000 events: what comes in 100 ms at 20,000 connections a second.
constexpr size_t kBlockBytes = 32 * 1024;
constexpr size_t kBlocks = 32;
constexpr size_t kRingBytes = kBlockBytes * kBlocks;

// How long an event may wait in a block that is not full.
constexpr unsigned kRetireMs = 8;

template <typename T>
int SetOption(int fd, int name, const T& value) {
  return setsockopt(fd, SOL_PACKET, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

int AttachFilter(int fd, const std::vector<sock_filter>& filter) {
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 ? 0 : errno;
}

uint16_t VlanOf(const tpacket3_hdr& header) {
  const bool tagged = (header.tp_status & TP_STATUS_VLAN_VALID) != 0;
  return tagged ? static_cast<uint16_t>(header.hv1.tp_vlan_tci & 0x0fff) : 0;
}

constexpr size_t kAddressAt = TPACKET_ALIGN(sizeof(tpacket3_hdr));

}  // namespace

int CaptureRing::Open(unsigned interface_index, const std::vector<sock_filter>& filter,
                      std::unique_ptr<CaptureRing>* out) {
  // Protocol 0: no packet comes before bind() below, when the filter is there.
  Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  std::unique_ptr<CaptureRing> ring(new CaptureRing(std::move(fd), interface_index));
  int error = AttachFilter(ring->fd(), filter);
  if (error == 0) error = ring->Map();
  if (error == 0) error = ring->ReadLoopback();
  if (error != 0) return error;
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(interface_index);
  if (bind(ring->fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return errno;
  *out = std::move(ring);
  return 0;
}

int CaptureRing::Map() {
  int error = SetOption(fd(), PACKET_VERSION, static_cast<int>(TPACKET_V3));
  if (error != 0) return error;
  tpacket_req3 request = {};
  request.tp_block_size = kBlockBytes;
  request.tp_block_nr = kBlocks;
  // Of no meaning in version 3, but checked.
  request.tp_frame_size = 2048;
  request.tp_frame_nr = kRingBytes / request.tp_frame_size;
  request.tp_retire_blk_tov = kRetireMs;
  error = SetOption(fd(), PACKET_RX_RING, request);
  if (error != 0) return error;
  void* memory = mmap(nullptr, kRingBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0);
  if (memory == MAP_FAILED) return errno;
  memory_ = static_cast<uint8_t*>(memory);
  return 0;
}

int CaptureRing::ReadLoopback() {
  ifreq request = {};
  if (if_indextoname(interface_index_, request.ifr_name) == nullptr) return errno;
  if (ioctl(fd(), SIOCGIFFLAGS, &request) != 0) return errno;
  loopback_ = (request.ifr_flags & IFF_LOOPBACK) != 0;
  return 0;
}

CaptureRing::~CaptureRing() {
  if (memory_ != nullptr) munmap(memory_, kRingBytes);
}

int CaptureRing::SetFilter(const std::vector<sock_filter>& filter) { return AttachFilter(fd(), filter); }

bool CaptureRing::Drain(const OnPacket& on_packet) {
  // At most once round: what comes meanwhile is for the next call.
  for (size_t blocks = 0; blocks < kBlocks; blocks++) {
    uint8_t* block = memory_ + next_block_ * kBlockBytes;
    auto* header = &reinterpret_cast<tpacket_block_desc*>(block)->hdr.bh1;
    if ((__atomic_load_n(&header->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) return true;
    size_t at = header->offset_to_first_pkt;
    for (uint32_t left = header->num_pkts; left > 0; left--) {
      if (at > kBlockBytes - kAddressAt - sizeof(sockaddr_ll)) return false;
      tpacket3_hdr packet;
      sockaddr_ll from;
      std::memcpy(&packet, block + at, sizeof(packet));
      std::memcpy(&from, block + at + kAddressAt, sizeof(from));
      const size_t begin = at + packet.tp_net;
      if (begin > kBlockBytes || packet.tp_snaplen > kBlockBytes - begin) return false;
      const PacketContext context = {ntohs(from.sll_protocol), from.sll_pkttype, VlanOf(packet)};
      const uint64_t time_us = static_cast<uint64_t>(packet.tp_sec) * 1'000'000 + packet.tp_nsec / 1000;
      on_packet(context, block + begin, packet.tp_snaplen, time_us);
      at += packet.tp_next_offset;
    }
    __atomic_store_n(&header->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    next_block_ = (next_block_ + 1) % kBlocks;
  }
  return true;
}

CaptureRing::Statistics CaptureRing::TakeStatistics() {
  tpacket_stats_v3 statistics = {};
  socklen_t length = sizeof(statistics);
  if (getsockopt(fd(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) != 0) return {};
  return {statistics.tp_packets, statistics.tp_drops};
}

void CaptureRing::TakeError() {
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length);
}

}  // namespace entremise
