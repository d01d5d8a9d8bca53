#include "packet_watch.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf_assembler.h"

// Of Linux 4.20; some C libraries have not heard of it.
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

namespace entremise {
namespace {

// A loopback interface has an Ethernet header before each packet, and nothing in it.
constexpr size_t kLinkHeaderBytes = ETH_HLEN;
constexpr size_t kIpv4HeaderBytes = 20;
constexpr size_t kIpv6HeaderBytes = 40;
// The longest packet that a loopback interface carries, and more: what is longer is cut by the kernel.
constexpr size_t kMaxPacketBytes = 65'536 + kIpv6HeaderBytes;
// What waits while the program is busy; the kernel drops the rest, as any queue would.
constexpr int kQueueBytes = 4 * 1024 * 1024;
// Packets that are taken in one turn of the loop: others want their turn, too.
constexpr int kMostInATurn = 64;
// VIRTIO_NET_HDR_GSO_UDP_L4.
constexpr uint8_t kUdpSegments = 5;

// What PACKET_VNET_HDR puts before each packet, in the machine's byte order: struct virtio_net_hdr, whose header is no C++.
struct PacketHead {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t header_bytes;
  uint16_t gso_size;
  uint16_t checksum_start;
  uint16_t checksum_offset;
};
static_assert(sizeof(PacketHead) == 10);

constexpr uint32_t kSynAck = 0x12;
constexpr uint32_t kSyn = 0x02;
constexpr uint32_t kIpAt = kLinkHeaderBytes;
constexpr uint32_t kTcpFlagsAt = 13;

int Set(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

uint32_t Ancillary(int what) { return static_cast<uint32_t>(SKF_AD_OFF + what); }

// Unmarked SYNs and datagrams.
std::vector<sock_filter> BeginningsFilter() {
  BpfAssembler bpf;
  const auto drop = bpf.NewLabel();
  const auto pass = bpf.NewLabel();
  const auto ipv6 = bpf.NewLabel();
  const auto flags = bpf.NewLabel();
  bpf.Do(BPF_LD | BPF_W | BPF_ABS, Ancillary(SKF_AD_MARK));
  bpf.JumpUnless(BPF_JEQ, 0, drop);
  bpf.Do(BPF_LD | BPF_W | BPF_ABS, Ancillary(SKF_AD_PROTOCOL));
  bpf.JumpIf(BPF_JEQ, ETH_P_IPV6, ipv6);
  bpf.JumpUnless(BPF_JEQ, ETH_P_IP, drop);
  bpf.Do(BPF_LD | BPF_B | BPF_ABS, kIpAt + 9);
  bpf.JumpIf(BPF_JEQ, IPPROTO_UDP, pass);
  bpf.JumpUnless(BPF_JEQ, IPPROTO_TCP, drop);
  bpf.Do(BPF_LDX | BPF_B | BPF_MSH, kIpAt);
  bpf.Do(BPF_LD | BPF_B | BPF_IND, kIpAt + kTcpFlagsAt);
  bpf.Jump(flags);
  bpf.Place(ipv6);
  bpf.Do(BPF_LD | BPF_B | BPF_ABS, kIpAt + 6);
  bpf.JumpIf(BPF_JEQ, IPPROTO_UDP, pass);
  bpf.JumpUnless(BPF_JEQ, IPPROTO_TCP, drop);
  bpf.Do(BPF_LD | BPF_B | BPF_ABS, kIpAt + kIpv6HeaderBytes + kTcpFlagsAt);
  bpf.Place(flags);
  bpf.Do(BPF_ALU | BPF_AND | BPF_K, kSynAck);
  bpf.JumpUnless(BPF_JEQ, kSyn, drop);
  bpf.Place(pass);
  bpf.Do(BPF_RET | BPF_K, kLinkHeaderBytes + kMaxPacketBytes);
  bpf.Place(drop);
  bpf.Do(BPF_RET | BPF_K, 0);
  return bpf.Finish();
}

int Attach(int fd, std::vector<sock_filter> filter) {
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 ? 0 : errno;
}

// Nothing comes before it is bound, and then only what the filter lets through.
int Prepare(int fd, unsigned interface_index) {
  if (const int error = Attach(fd, BeginningsFilter())) return error;
  // On a loopback interface everything is seen twice.
  if (const int error = Set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) return error;
  if (const int error = Set(fd, SOL_PACKET, PACKET_VNET_HDR, 1)) return error;
  if (Set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kQueueBytes) != 0) Set(fd, SOL_SOCKET, SO_RCVBUF, kQueueBytes);
  sockaddr_ll at = {};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(interface_index);
  return bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0 ? 0 : errno;
}

// Where a packet goes; 0 when it is no IP packet of the socket's length.
socklen_t DestinationOf(const uint8_t* packet, size_t length, sockaddr_storage* out) {
  *out = {};
  if (length >= kIpv4HeaderBytes && packet[0] >> 4 == 4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(out);
    v4->sin_family = AF_INET;
    memcpy(&v4->sin_addr, packet + 16, sizeof(v4->sin_addr));
    return sizeof(*v4);
  }
  if (length >= kIpv6HeaderBytes && packet[0] >> 4 == 6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
    v6->sin6_family = AF_INET6;
    memcpy(&v6->sin6_addr, packet + 24, sizeof(v6->sin6_addr));
    return sizeof(*v6);
  }
  return 0;
}

}  // namespace

int PacketWatch::Start(uv_loop_t* loop, const std::string& interface, Callback callback, PacketWatch** out) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) return errno;
  // Only a raw one tells of segments.
  Fd opened(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!opened.valid()) return errno;
  if (const int error = Prepare(opened.number(), index)) return error;
  auto* watch = new PacketWatch(std::move(opened), std::move(callback));
  const int error = watch->StartPolling(loop, UV_READABLE);
  if (error == 0) *out = watch;
  return error;
}

void PacketWatch::OnReady() {
  // Memory for as long as it is used: callbacks may close the watch, which then takes no more.
  buffer_.resize(kMaxPacketBytes);
  for (int count = 0; count < kMostInATurn && fd() >= 0; count++)
    if (!Take()) return;
}

bool PacketWatch::Take() {
  PacketHead head = {};
  uint8_t link[kLinkHeaderBytes];
  iovec parts[3] = {{&head, sizeof(head)}, {link, sizeof(link)}, {buffer_.data(), buffer_.size()}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 3;
  const ssize_t got = recvmsg(fd(), &message, MSG_DONTWAIT);
  // EINVAL: segments that this kernel cannot describe (before Linux 6.2); they are dropped.
  if (got < 0) return errno == EINTR || errno == EINVAL;
  constexpr size_t kBefore = sizeof(head) + sizeof(link);
  const size_t length = static_cast<size_t>(got) - std::min(static_cast<size_t>(got), kBefore);
  // What was cut is nobody's packet.
  if (length == 0 || (message.msg_flags & MSG_TRUNC) != 0) return true;
  callback_(buffer_.data(), length, head.gso_type == kUdpSegments ? head.gso_size : 0);
  return true;
}

int OpenRawIp(int family, Fd* out) {
  Fd opened(socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!opened.valid()) return errno;
  if (family == AF_INET6)
    if (const int error = Set(opened.number(), IPPROTO_IPV6, IPV6_HDRINCL, 1)) return error;
  *out = std::move(opened);
  return 0;
}

int SendMarked(int fd, uint32_t mark, const uint8_t* packet, size_t length) {
  if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0) return errno;
  sockaddr_storage destination;
  const socklen_t destination_length = DestinationOf(packet, length, &destination);
  if (destination_length == 0) return EINVAL;
  const auto* to = reinterpret_cast<const sockaddr*>(&destination);
  return sendto(fd, packet, length, MSG_DONTWAIT, to, destination_length) >= 0 ? 0 : errno;
}

int SetTransparent(int fd) {
  int family = 0;
  socklen_t length = sizeof(family);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return errno;
  return family == AF_INET6 ? Set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) : Set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

}  // namespace entremise
