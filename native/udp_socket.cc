#include "udp_socket.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/udp.h>

#include <cerrno>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace entremise {
namespace {

// 10 to 20 ms at the rate that a relay reaches, 100,000 a second: what waits longer is of no use to a call. The kernel doubles it, and
// counts a datagram of a call as 1,280 bytes.
constexpr int kQueueBytes = 1024 * 1024;

int Set(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

int ErrorOf(int result) { return result == 0 ? 0 : errno; }

// What a kernel lacks of these is done without.
void Tune(const UdpSocket& socket) {
  const int fd = socket.fd.number();
  Set(fd, SOL_SOCKET, SO_RCVBUF, kQueueBytes);
  Set(fd, SOL_SOCKET, SO_SNDBUF, kQueueBytes);
  Set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  if (!socket.wildcard) return;
  if (socket.family == AF_INET6) Set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  if (socket.family == AF_INET) Set(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

// Reads back what it is bound to.
int Describe(UdpSocket* socket) {
  sockaddr_storage local = {};
  socklen_t length = sizeof(local);
  if (getsockname(socket->fd.number(), reinterpret_cast<sockaddr*>(&local), &length) != 0) return errno;
  if (local.ss_family != AF_INET && local.ss_family != AF_INET6) return EAFNOSUPPORT;
  const Endpoint bound = EndpointOf(local);
  socket->family = local.ss_family;
  socket->number = bound.number;
  static constexpr uint8_t kNone[16] = {};
  socket->wildcard = memcmp(bound.address.bytes, kNone, sizeof(kNone)) == 0;
  if (local.ss_family == AF_INET6) socket->scope = reinterpret_cast<sockaddr_in6&>(local).sin6_scope_id;
  return 0;
}

int Parse(const std::string& text, uint16_t number, sockaddr_storage* out, socklen_t* length) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(out);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
  const size_t zone = text.find('%');
  const std::string plain = text.substr(0, zone);
  *out = {};
  if (inet_pton(AF_INET, plain.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(number);
    *length = sizeof(*v4);
    return 0;
  }
  if (inet_pton(AF_INET6, plain.c_str(), &v6->sin6_addr) != 1) return EINVAL;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(number);
  if (zone != std::string::npos) v6->sin6_scope_id = if_nametoindex(text.c_str() + zone + 1);
  *length = sizeof(*v6);
  return 0;
}

int SocketFor(int family, UdpSocket* out) {
  out->fd = Fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return out->fd.valid() ? 0 : errno;
}

}  // namespace

int OpenDoor(const std::string& address, uint16_t number, UdpSocket* out) {
  sockaddr_storage local;
  socklen_t length = 0;
  UdpSocket opened;
  if (const int error = Parse(address, number, &local, &length)) return error;
  if (const int error = SocketFor(local.ss_family, &opened)) return error;
  const int fd = opened.fd.number();
  if (local.ss_family == AF_INET6) Set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (const int error = ErrorOf(bind(fd, reinterpret_cast<sockaddr*>(&local), length))) return error;
  if (const int error = Describe(&opened)) return error;
  Tune(opened);
  // DF, and no belief in what ICMP says of sizes: P7.5 finds them.
  Set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (local.ss_family == AF_INET6) Set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  Set(fd, IPPROTO_UDP, UDP_GRO, 1);
  *out = std::move(opened);
  return 0;
}

int AdoptSocket(Fd* fd, bool broadcast, UdpSocket* out) {
  UdpSocket adopted;
  adopted.fd = std::move(*fd);
  int type = 0;
  socklen_t length = sizeof(type);
  const int number = adopted.fd.number();
  int error = ErrorOf(getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &length));
  if (error == 0 && type != SOCK_DGRAM) error = EINVAL;
  if (error == 0) error = Describe(&adopted);
  if (error != 0) {
    *fd = std::move(adopted.fd);
    return error;
  }
  Tune(adopted);
  if (broadcast) Set(number, SOL_SOCKET, SO_BROADCAST, 1);
  if (adopted.family == AF_INET) Set(number, IPPROTO_IP, IP_RECVERR, 1);
  if (adopted.family == AF_INET6) Set(number, IPPROTO_IPV6, IPV6_RECVERR, 1);
  *out = std::move(adopted);
  return 0;
}

int OpenTowards(const Endpoint& service, UdpSocket* out) {
  UdpSocket opened;
  const int family = service.address.family == 4 ? AF_INET : AF_INET6;
  sockaddr_storage remote;
  const socklen_t length = ToSocket(service, family, 0, &remote);
  if (length == 0) return EINVAL;
  if (const int error = SocketFor(family, &opened)) return error;
  const int fd = opened.fd.number();
  if (const int error = ErrorOf(connect(fd, reinterpret_cast<sockaddr*>(&remote), length))) return error;
  if (const int error = Describe(&opened)) return error;
  Tune(opened);
  *out = std::move(opened);
  return 0;
}

bool TakeUnreachable(const UdpSocket& socket, Endpoint* peer, uint8_t* code, bool* of_interest) {
  alignas(cmsghdr) uint8_t control[512];
  sockaddr_storage about = {};
  msghdr message = {};
  message.msg_name = &about;
  message.msg_namelen = sizeof(about);
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(socket.fd.number(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return false;
  *of_interest = false;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    const bool v4 = head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_RECVERR;
    const bool v6 = head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_RECVERR;
    if ((!v4 && !v6) || head->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err error;
    memcpy(&error, CMSG_DATA(head), sizeof(error));
    const bool unreachable = (error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == 3) ||
                             (error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == 1);
    if (!unreachable) continue;
    *peer = EndpointOf(about);
    *code = error.ee_code;
    *of_interest = peer->known();
  }
  return true;
}

}  // namespace entremise
