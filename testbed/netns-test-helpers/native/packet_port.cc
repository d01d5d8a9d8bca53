#include "packet_port.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace nth {
namespace {

constexpr Nanos kSecond = 1000000000;

Nanos Clock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

void SetInt(int fd, int option, int value, const char* name) {
  if (setsockopt(fd, SOL_PACKET, option, &value, sizeof value) != 0) Die(name);
}

uint32_t RoundUp(uint32_t value, uint32_t step) { return (value + step - 1) / step * step; }

}  // namespace

void Die(const std::string& what) {
  fprintf(stderr, "%s: %s\n", what.c_str(), strerror(errno));
  exit(1);
}

Nanos Now() { return Clock(CLOCK_MONOTONIC); }

Frame Frame::CopyOf(const uint8_t* from, uint32_t length) {
  Frame frame;
  frame.bytes.reset(new uint8_t[length]);
  memcpy(frame.bytes.get(), from, length);
  frame.length = length;
  return frame;
}

PacketPort::PacketPort(const std::string& interface, const Options& options) {
  // No protocol yet: nothing may come in before the ring is there.
  fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd_ < 0) Die("packet socket");
  SetInt(fd_, PACKET_VERSION, TPACKET_V2, "PACKET_VERSION");
  if (!options.outgoing_too) SetInt(fd_, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
  SetInt(fd_, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");

  frame_size_ = RoundUp(TPACKET_ALIGN(TPACKET2_HDRLEN) + 16 + options.longest_frame, TPACKET_ALIGNMENT);
  block_size_ = RoundUp(std::max(frame_size_, 1u << 18), static_cast<uint32_t>(getpagesize()));
  frames_per_block_ = block_size_ / frame_size_;
  tpacket_req request = {};
  request.tp_block_size = block_size_;
  request.tp_block_nr = std::max(options.ring_bytes / block_size_, 1u);
  request.tp_frame_size = frame_size_;
  request.tp_frame_nr = frame_count_ = frames_per_block_ * request.tp_block_nr;
  if (setsockopt(fd_, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) Die("PACKET_RX_RING");
  const size_t bytes = static_cast<size_t>(block_size_) * request.tp_block_nr;
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (mapped == MAP_FAILED) Die("mmap of the ring");
  ring_ = static_cast<uint8_t*>(mapped);

  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0) Die(interface);
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Die(interface);
}

uint8_t* PacketPort::Slot(uint32_t number) const {
  const size_t block = number / frames_per_block_;
  return ring_ + block * block_size_ + static_cast<size_t>(number % frames_per_block_) * frame_size_;
}

bool PacketPort::Next(Arrived* arrived) {
  if (holds_) {
    auto* read = reinterpret_cast<tpacket2_hdr*>(Slot(next_));
    __atomic_store_n(&read->tp_status, static_cast<uint32_t>(TP_STATUS_KERNEL), __ATOMIC_RELEASE);
    next_ = (next_ + 1) % frame_count_;
    holds_ = false;
  }
  auto* slot = Slot(next_);
  auto* header = reinterpret_cast<tpacket2_hdr*>(slot);
  if ((__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) return false;
  holds_ = true;
  arrived->bytes = slot + header->tp_mac;
  arrived->kept = header->tp_snaplen;
  arrived->length = header->tp_len;
  arrived->real_seconds = header->tp_sec;
  arrived->real_nanos = header->tp_nsec;
  // The ring's clock is CLOCK_REALTIME. Taken anew each time, so that a clock that is set does no harm for long.
  const Nanos ago = Clock(CLOCK_REALTIME) - (header->tp_sec * kSecond + header->tp_nsec);
  arrived->at = Now() - std::clamp<Nanos>(ago, 0, kSecond);
  return true;
}

void PacketPort::Send(Frame* frames, size_t count) {
  constexpr size_t kBatch = 64;
  mmsghdr messages[kBatch];
  iovec vectors[kBatch];
  for (size_t from = 0; from < count;) {
    const size_t batch = std::min(kBatch, count - from);
    for (size_t i = 0; i < batch; i++) {
      vectors[i] = {frames[from + i].bytes.get(), frames[from + i].length};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(fd_, messages, static_cast<unsigned>(batch), MSG_DONTWAIT);
    // The one that was refused (its end is down, say) is lost, as on a wire that leads nowhere.
    if (sent <= 0) frames[from].length = 0;
    from += sent <= 0 ? 1 : static_cast<size_t>(sent);
  }
}

uint64_t PacketPort::Overrun() {
  tpacket_stats stats = {};
  socklen_t size = sizeof stats;
  // Reading the statistics sets them back to 0.
  if (getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) overrun_ += stats.tp_drops;
  return overrun_;
}

}  // namespace nth
