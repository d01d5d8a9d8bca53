#include "receive_slots.h"

#include <netinet/udp.h>
#include <sys/mman.h>

#include <cerrno>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace entremise {
namespace {

// An odd number of cache lines: the beginnings of the slots share no set of the cache.
constexpr size_t kStride = 1033 * 64;
static_assert(kStride >= ReceiveSlots::kHeadroom + ReceiveSlots::kLongest + ReceiveSlots::kTailroom);
constexpr size_t kMapped = kStride * ReceiveSlots::kSlots;

}  // namespace

bool ReceiveSlots::Map() {
  void* mapped = mmap(nullptr, kMapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return false;
  memory_ = static_cast<uint8_t*>(mapped);
  for (size_t index = 0; index < kSlots; index++) {
    vectors_[index] = {memory_ + index * kStride + kHeadroom, kLongest};
    messages_[index].msg_hdr.msg_iov = &vectors_[index];
    messages_[index].msg_hdr.msg_iovlen = 1;
    messages_[index].msg_hdr.msg_name = &names_[index];
    messages_[index].msg_hdr.msg_control = control_[index];
  }
  return true;
}

ReceiveSlots::~ReceiveSlots() {
  if (memory_ != nullptr) munmap(memory_, kMapped);
}

size_t ReceiveSlots::Receive(UdpSocket* socket, size_t first, size_t most, uint64_t* overflow) {
  for (size_t index = first; index < first + most; index++) {
    messages_[index].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    messages_[index].msg_hdr.msg_controllen = kControlBytes;
  }
  const auto count = static_cast<unsigned>(most);
  mmsghdr* const into = &messages_[first];
  int got = recvmmsg(socket->fd.number(), into, count, MSG_DONTWAIT, nullptr);
  // What ICMP said of something sent before is told in place of data, once.
  if (got < 0 && errno != EAGAIN) got = recvmmsg(socket->fd.number(), into, count, MSG_DONTWAIT, nullptr);
  if (got < 0) return 0;
  for (int index = 0; index < got; index++) {
    const size_t at = first + static_cast<size_t>(index);
    received_[at] = {static_cast<uint8_t*>(vectors_[at].iov_base), messages_[at].msg_len, EndpointOf(names_[at]), {}, 0};
    if (messages_[at].msg_hdr.msg_controllen > 0) ReadControl(at, socket, overflow);
  }
  return static_cast<size_t>(got);
}

void ReceiveSlots::ReadControl(size_t index, UdpSocket* socket, uint64_t* overflow) {
  msghdr* message = &messages_[index].msg_hdr;
  Received& received = received_[index];
  for (cmsghdr* head = CMSG_FIRSTHDR(message); head != nullptr; head = CMSG_NXTHDR(message, head)) {
    const uint8_t* data = CMSG_DATA(head);
    const auto is = [head](int level, int type, size_t bytes) {
      return head->cmsg_level == level && head->cmsg_type == type && head->cmsg_len >= CMSG_LEN(bytes);
    };
    if (is(IPPROTO_UDP, UDP_GRO, sizeof(int))) {
      int segment = 0;
      memcpy(&segment, data, sizeof(segment));
      if (segment > 0) received.segment = static_cast<size_t>(segment);
    } else if (is(SOL_SOCKET, SO_RXQ_OVFL, sizeof(uint32_t))) {
      uint32_t dropped = 0;
      memcpy(&dropped, data, sizeof(dropped));
      *overflow += dropped - socket->overflow;
      socket->overflow = dropped;
    } else if (is(IPPROTO_IP, IP_PKTINFO, sizeof(in_pktinfo))) {
      in_pktinfo info;
      memcpy(&info, data, sizeof(info));
      received.local = AddressOf(info.ipi_addr);
    } else if (is(IPPROTO_IPV6, IPV6_PKTINFO, sizeof(in6_pktinfo))) {
      in6_pktinfo info;
      memcpy(&info, data, sizeof(info));
      received.local = AddressOf(info.ipi6_addr);
    }
  }
}

}  // namespace entremise
