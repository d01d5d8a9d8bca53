#include "gso_send.h"

#include <netinet/udp.h>

#include <cerrno>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace entremise {
namespace {

// How long a socket whose device or kernel has refused to cut packets up is not asked again.
constexpr uint64_t kSingleMs = 10'000;

// Of an earlier packet: told in place of sending this one.
bool IsEarlierError(int error) { return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH; }

bool IsSame(const GsoSend::Destination& left, const GsoSend::Destination& right) {
  return left.socket == right.socket && left.counters == right.counters && left.to == right.to &&
         left.from == right.from;
}

template <typename T>
void Put(msghdr* message, cmsghdr** at, int level, int type, const T& value) {
  cmsghdr* head = *at;
  head->cmsg_level = level;
  head->cmsg_type = type;
  head->cmsg_len = CMSG_LEN(sizeof(value));
  memcpy(CMSG_DATA(head), &value, sizeof(value));
  message->msg_controllen += CMSG_SPACE(sizeof(value));
  *at = reinterpret_cast<cmsghdr*>(reinterpret_cast<uint8_t*>(head) + CMSG_SPACE(sizeof(value)));
}

}  // namespace

GsoSend::GsoSend() : groups_(kGroups) {}

GsoSend::Group* GsoSend::OpenGroupFor(const Destination& destination, size_t length) {
  for (size_t index = used_; index-- > 0;) {
    Group& group = groups_[index];
    if (!IsSame(group.destination, destination)) continue;
    const bool fits = !group.closed && length <= group.segment && group.packets < kMostSegments &&
                      group.bytes + length <= kMostBytes;
    // An older group of the same destination would change the order.
    return fits ? &group : nullptr;
  }
  return nullptr;
}

void GsoSend::Add(const Destination& destination, uint8_t* bytes, size_t length) {
  Group* group = OpenGroupFor(destination, length);
  if (group == nullptr) {
    if (used_ == kGroups) Flush(now_ms_);
    group = &groups_[used_++];
    group->destination = destination;
    group->segment = length;
    group->bytes = group->packets = group->vectors = 0;
    group->sent = false;
    group->closed = length > kLongestSegment || length == 0;
  }
  if (length < group->segment) group->closed = true;
  group->packets++;
  group->bytes += length;
  iovec* last = group->vectors > 0 ? &group->parts[group->vectors - 1] : nullptr;
  if (last != nullptr && static_cast<uint8_t*>(last->iov_base) + last->iov_len == bytes) {
    last->iov_len += length;
  } else {
    group->parts[group->vectors++] = {bytes, length};
  }
}

bool GsoSend::Prepare(Group* group, bool segmented, msghdr* message) {
  const Destination& destination = group->destination;
  const UdpSocket& socket = *destination.socket;
  *message = {};
  if (destination.to.known()) {
    message->msg_namelen = ToSocket(destination.to, socket.family, socket.scope, &group->name);
    message->msg_name = &group->name;
    if (message->msg_namelen == 0) return false;
  }
  message->msg_iov = group->parts;
  message->msg_iovlen = group->vectors;
  auto* at = reinterpret_cast<cmsghdr*>(group->control);
  if (destination.from.family != 0 && socket.family == AF_INET6) {
    in6_pktinfo info = {};
    info.ipi6_addr = Mapped(destination.from);
    if (IsLinkLocal(destination.from)) info.ipi6_ifindex = socket.scope;
    Put(message, &at, IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else if (destination.from.family == 4) {
    in_pktinfo info = {};
    memcpy(&info.ipi_spec_dst, destination.from.bytes, 4);
    Put(message, &at, IPPROTO_IP, IP_PKTINFO, info);
  }
  if (segmented) Put(message, &at, IPPROTO_UDP, UDP_SEGMENT, static_cast<uint16_t>(group->segment));
  if (message->msg_controllen > 0) message->msg_control = group->control;
  return true;
}

void GsoSend::Flush(uint64_t now_ms) {
  now_ms_ = now_ms;
  for (size_t index = 0; index < used_; index++) {
    if (!groups_[index].sent) SendSocket(groups_[index].destination.socket, index);
  }
  used_ = 0;
}

void GsoSend::SendSocket(UdpSocket* socket, size_t from) {
  unsigned count = 0;
  for (size_t index = from; index < used_; index++) {
    Group& group = groups_[index];
    if (group.sent || group.destination.socket != socket) continue;
    group.sent = true;
    const bool several = group.packets > 1;
    messages_[count] = {};
    if (several && now_ms_ < socket->single_until_ms) {
      // In order of their own: what stands before them has to leave first.
      SendMessages(socket, count);
      count = 0;
      SendSingly(&group);
    } else if (Prepare(&group, several, &messages_[count].msg_hdr)) {
      order_[count++] = &group;
    } else {
      Dropped(&group, EAFNOSUPPORT, group.packets);
    }
  }
  SendMessages(socket, count);
}

void GsoSend::SendMessages(UdpSocket* socket, unsigned count) {
  unsigned done = 0;
  bool retried = false;
  while (done < count) {
    const int sent = sendmmsg(socket->fd.number(), &messages_[done], count - done, MSG_DONTWAIT);
    if (sent > 0) {
      for (int index = 0; index < sent; index++, done++) {
        order_[done]->destination.counters->Out(order_[done]->packets, order_[done]->bytes);
      }
      retried = false;
      continue;
    }
    const int error = errno;
    if (error == EINTR || (IsEarlierError(error) && !retried)) {
      retried = true;
      continue;
    }
    retried = false;
    Refused(order_[done++], error);
  }
}

void GsoSend::Refused(Group* group, int error) {
  const bool cannot_segment = error == EIO || error == EINVAL || error == ENOPROTOOPT || error == EMSGSIZE;
  if (group->packets == 1 || !cannot_segment) return Dropped(group, error, group->packets);
  if (error == EIO || error == ENOPROTOOPT) group->destination.socket->single_until_ms = now_ms_ + kSingleMs;
  SendSingly(group);
}

void GsoSend::SendSingly(Group* group) {
  msghdr shared;
  if (!Prepare(group, false, &shared)) return Dropped(group, EAFNOSUPPORT, group->packets);
  const int fd = group->destination.socket->fd.number();
  mmsghdr singles[kMostSegments];
  iovec pieces[kMostSegments];
  unsigned count = 0;
  for (size_t part = 0; part < group->vectors; part++) {
    auto* at = static_cast<uint8_t*>(group->parts[part].iov_base);
    for (size_t left = group->parts[part].iov_len; left > 0; count++) {
      const size_t length = left < group->segment ? left : group->segment;
      pieces[count] = {at, length};
      singles[count].msg_hdr = shared;
      singles[count].msg_hdr.msg_iov = &pieces[count];
      singles[count].msg_hdr.msg_iovlen = 1;
      at += length;
      left -= length;
    }
  }
  bool retried = false;
  for (unsigned done = 0; done < count;) {
    const int sent = sendmmsg(fd, &singles[done], count - done, MSG_DONTWAIT);
    if (sent > 0) {
      for (int index = 0; index < sent; index++, done++) {
        group->destination.counters->Out(1, pieces[done].iov_len);
      }
      retried = false;
    } else if (errno == EINTR || (IsEarlierError(errno) && !retried)) {
      retried = true;
    } else {
      Dropped(group, errno, 1);
      done++;
      retried = false;
    }
  }
}

void GsoSend::Dropped(Group* group, int error, uint64_t packets) {
  group->destination.counters->Add(error == EMSGSIZE ? Count::kOversize : Count::kUnsent, packets);
}

}  // namespace entremise
